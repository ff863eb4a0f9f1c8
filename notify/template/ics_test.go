package template_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

func invite(t *testing.T, set *template.Set, msg notify.Message) []property {
	t.Helper()
	content := render(t, set, msg)
	require.Len(t, content.Files, 1)
	props, err := parseICS(content.Files[0].Data)
	require.NoError(t, err)
	return props
}

var wholeInvite = []string{"BEGIN", "VERSION", "PRODID", "METHOD", "BEGIN", "UID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "DTSTART", "DTEND",
	"SUMMARY", "DESCRIPTION", "LOCATION", "URL", "ORGANIZER", "ATTENDEE", "STATUS", "BEGIN", "ACTION", "DESCRIPTION", "TRIGGER", "END", "END", "END"}

func TestInvite(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	msg := message(template.Confirmed, "en", appointment())
	msg.To.Name, msg.To.Email = `Rao, "Asha"; ^x`, "asha?cc=50%&x+y@example.org"
	props := invite(t, set, msg)
	require.Equal(t, wholeInvite, names(props))
	for name, want := range map[string]string{
		"METHOD": "REQUEST", "SEQUENCE": "0", "STATUS": "CONFIRMED", "DTSTAMP": "20260220T080000Z",
		"DTSTART": "20260302T050000Z", "DTEND": "20260302T053000Z", "SUMMARY": `Video consultation\, City Clinic`,
		"URL": appointment().JoinURL, "ORGANIZER": "mailto:care@clinic.example", "ATTENDEE": "mailto:asha%3Fcc=50%25%26x+y@example.org",
	} {
		require.Equal(t, want, value(props, name), name)
	}
	require.Equal(t, `ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE;CN="Rao, ^'Asha^'; ^^x"`, props[16].params)
	require.Contains(t, value(props, "DESCRIPTION"), `Hello Rao\, "Asha"\; ^x\,\n\nYour video`)
}

func TestInvitesOfOneAppointment(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	moved, gone := appointment(), appointment()
	moved.Start, moved.Sequence = start.Add(time.Hour), 3
	booked := invite(t, set, message(template.Confirmed, "en", appointment()))
	after := invite(t, set, message(template.Rescheduled, "hi", moved))
	ended := invite(t, set, message(template.Cancelled, "en", gone))

	require.Equal(t, value(booked, "UID"), value(after, "UID"))
	require.Equal(t, value(booked, "UID"), value(ended, "UID"))
	require.NotContains(t, value(booked, "UID"), "appt-42")
	require.Equal(t, "3", value(after, "SEQUENCE"))
	require.Equal(t, []string{"CANCEL", "CANCELLED"}, []string{value(ended, "METHOD"), value(ended, "STATUS")})
	require.Equal(t, "text/calendar; charset=utf-8; method=CANCEL", render(t, set, message(template.Cancelled, "en", gone)).Files[0].ContentType)

	gone.Key = "appt-43"
	require.NotEqual(t, value(booked, "UID"), value(invite(t, set, message(template.Cancelled, "en", gone)), "UID"))
	other := config()
	other.Clinic = "Other Clinic"
	require.NotEqual(t, value(booked, "UID"), value(invite(t, newSet(t, other), message(template.Confirmed, "en", appointment())), "UID"))
}

func TestInviteWithoutAddresses(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Organizer = ""
	a := appointment()
	a.JoinURL, a.Duration = "", 0
	msg := message(template.Confirmed, "en", a)
	msg.To.Email = "broken\r\nX: y"
	props := invite(t, newSet(t, cfg), msg)
	require.Equal(t, "invalid:nomail", value(props, "ORGANIZER"))
	require.Equal(t, "20260302T053000Z", value(props, "DTEND"))
	for _, absent := range []string{"ATTENDEE", "URL", "LOCATION"} {
		require.NotContains(t, names(props), absent)
	}
}

func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		"Asha Rao", `<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, "{{.Data.Key}}", "<!--", "]]>", "&lt;b&gt;", "ॐ आशा राव",
		"a;b,c\\n\\,", `x":mailto:evil@example.org`, "^n^'", "\u00a0\u2003x", strings.Repeat("आ", 60), "javascript:alert(1)", "a    b", "</title><h1>",
	} {
		f.Add(seed, seed)
	}
	set := newSet(f, config())
	plain := render(f, set, message(template.Confirmed, "hi", appointment()))
	shape, _, err := parseHTML(plain.HTML)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, patient, recipient string) {
		if strings.ContainsAny(patient+recipient, "\ufffe\uffff") {
			t.Skip("the test's parser does not know these")
		}
		a := appointment()
		a.Patient, a.Doctor = patient, patient
		msg := message(template.Confirmed, "hi", a)
		msg.To.Name = recipient
		content, err := set.Render(msg)
		if err != nil {
			require.ErrorIs(t, err, telemed.ErrInvalid)
			require.Nil(t, content)
			return
		}
		nodes, texts, err := parseHTML(content.HTML)
		require.NoError(t, err)
		require.Equal(t, shape, nodes, "the data changed the structure of the page")
		require.Contains(t, texts, patient)
		require.Len(t, content.WhatsApp.Body, 5)
		require.NoError(t, content.Validate(notify.Email))
		require.NoError(t, content.Validate(notify.WhatsApp))
		props, err := parseICS(content.Files[0].Data)
		require.NoError(t, err)
		require.Equal(t, wholeInvite, names(props))
	})
}

// TestDoctorsEntries: the doctor's calendar has entries of its own, which move and end.
func TestDoctorsEntries(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	patients := invite(t, set, message(template.Confirmed, "en", appointment()))
	booked := invite(t, set, message(template.DoctorBooked, "en", appointment()))
	moved := invite(t, set, message(template.DoctorMoved, "hi", appointment()))
	ended := invite(t, set, message(template.DoctorCancelled, "en", appointment()))
	require.NotEqual(t, value(patients, "UID"), value(booked, "UID"))
	require.Equal(t, value(booked, "UID"), value(moved, "UID"))
	require.Equal(t, value(booked, "UID"), value(ended, "UID"))
	require.Equal(t, []string{"REQUEST", "0"}, []string{value(booked, "METHOD"), value(booked, "SEQUENCE")})
	require.Equal(t, "REQUEST", value(moved, "METHOD"))
	require.Equal(t, []string{"CANCEL", "CANCELLED"}, []string{value(ended, "METHOD"), value(ended, "STATUS")})
	require.Equal(t, "Video consultation: Asha Rao", value(booked, "SUMMARY"))
}

// TestSequenceGrows: whatever becomes of an appointment, each message has a higher number
// than the one before, whether the application counts or not, or only now and then.
func TestSequenceGrows(t *testing.T) {
	t.Parallel()
	type step struct {
		name    string
		counted int
	}
	for name, life := range map[string][]step{
		"not counted":            {{template.Confirmed, 0}, {template.Rescheduled, 0}, {template.Rescheduled, 0}, {template.Cancelled, 0}},
		"counted":                {{template.Confirmed, 1}, {template.Rescheduled, 2}, {template.Rescheduled, 3}, {template.Cancelled, 4}},
		"a cancel does not move": {{template.Confirmed, 0}, {template.Rescheduled, 1}, {template.Cancelled, 1}},
		"moves alone":            {{template.Confirmed, 0}, {template.Rescheduled, 7}, {template.Cancelled, 0}},
		"cancelled at once":      {{template.Confirmed, 0}, {template.Cancelled, 0}},
		"the doctor's":           {{template.DoctorBooked, 0}, {template.DoctorMoved, 0}, {template.DoctorMoved, 0}, {template.DoctorCancelled, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, cfg := written, config()
			cfg.Now = func() time.Time { return now }
			set, last := newSet(t, cfg), -1
			for _, step := range life {
				a := appointment()
				a.Sequence = step.counted
				got, err := strconv.Atoi(value(invite(t, set, message(step.name, "en", a)), "SEQUENCE"))
				require.NoError(t, err)
				require.Greater(t, got, last, step.name)
				require.Less(t, got, 1<<31, "calendars read a 32 bit integer")
				last, now = got, now.Add(time.Second)
			}
		})
	}
}
