package meet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
)

var now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func valid() meet.Request {
	return meet.Request{Key: "appt-1", Start: now.Add(time.Hour), Duration: 30 * time.Minute}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*meet.Request)
		want  string
	}{
		"valid":             {func(*meet.Request) {}, ""},
		"a moment ago":      {func(r *meet.Request) { r.Start = now.Add(-30 * time.Second) }, ""},
		"no key":            {func(r *meet.Request) { r.Key = "" }, "Key is required"},
		"long key":          {func(r *meet.Request) { r.Key = strings.Repeat("k", 256) }, "Key is longer than 255 bytes"},
		"key with a NUL":    {func(r *meet.Request) { r.Key = "a\x00" }, "Key has characters that cannot be printed"},
		"no start":          {func(r *meet.Request) { r.Start = time.Time{} }, "Start is required"},
		"past start":        {func(r *meet.Request) { r.Start = now.Add(-2 * time.Minute) }, "Start is in the past"},
		"no duration":       {func(r *meet.Request) { r.Duration = 0 }, "Duration is required"},
		"negative duration": {func(r *meet.Request) { r.Duration = -time.Hour }, "Duration is not between 1 minute and 24 hours"},
		"endless":           {func(r *meet.Request) { r.Duration = 25 * time.Hour }, "Duration is not between 1 minute and 24 hours"},
		"long topic":        {func(r *meet.Request) { r.Topic = strings.Repeat("ह", 201) }, "Topic is longer than 200 characters"},
		"topic at limit":    {func(r *meet.Request) { r.Topic = strings.Repeat("ह", 200) }, ""},
		"topic with lines":  {func(r *meet.Request) { r.Topic = "a\nb" }, "Topic has characters that cannot be printed"},
		"broken UTF-8":      {func(r *meet.Request) { r.Topic = "\xff" }, "Topic has characters that cannot be printed"},
		"named address":     {func(r *meet.Request) { r.Attendees = []meet.Attendee{{Email: "A <a@b.org>"}} }, "Attendees[0].Email is not an e-mail address"},
		"injected address":  {func(r *meet.Request) { r.Attendees = []meet.Attendee{{Email: "a@b.org\r\nBcc: c@d.org"}} }, "Attendees[0].Email is not an e-mail address"},
		"two at once":       {func(r *meet.Request) { r.Key, r.Duration = "", 0 }, "Key is required; Duration is required"},
		"too many":          {func(r *meet.Request) { r.Attendees = make([]meet.Attendee, 101) }, "Attendees are more than 100"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := valid()
			test.spoil(&req)
			err := req.ValidateAt(now)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, telemed.ErrInvalid)
			require.ErrorContains(t, err, "meet: request: "+test.want)
		})
	}
}

func TestNormal(t *testing.T) {
	t.Parallel()
	req := meet.Request{Start: now.Add(500 * time.Millisecond), Duration: 90 * time.Second}.Normal()
	require.Equal(t, now, req.Start)
	require.Equal(t, 2*time.Minute, req.Duration)
	require.Equal(t, "Video consultation", req.Topic)
	require.Equal(t, "Follow-up", meet.Request{Topic: "Follow-up"}.Normal().Topic)
}

func TestZoneName(t *testing.T) {
	t.Parallel()
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	require.NoError(t, err)
	tests := map[string]struct {
		zone *time.Location
		want string
	}{
		"iana":                        {kolkata, "Asia/Kolkata"},
		"utc":                         {time.UTC, "UTC"},
		"local":                       {time.Local, ""},
		"fixed":                       {time.FixedZone("", 19800), ""},
		"letters":                     {time.FixedZone("IST", 19800), ""},
		"fixed under a borrowed name": {time.FixedZone("Asia/Kolkata", 3600), ""},
	}
	for name, test := range tests {
		require.Equal(t, test.want, meet.ZoneName(now.In(test.zone)), name)
	}
	for _, name := range []string{"localtime", "posixrules", "Factory", "right/UTC", "posix/Asia/Kolkata"} {
		if zone, err := time.LoadLocation(name); err == nil { // not every machine has them
			require.Empty(t, meet.ZoneName(now.In(zone)), name)
		}
	}
}

func TestNothingPersonalIsPrinted(t *testing.T) {
	t.Parallel()
	m := meet.Meeting{ID: "m1", Provider: "zoom", JoinURL: "https://zoom.us/j/1?pwd=canary", Passcode: "canary", Topic: "canary"}
	req := meet.Request{Key: "appt-1", Topic: "canary", Attendees: []meet.Attendee{{Email: "canary@example.org", Name: "canary"}}}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("m", "meeting", m, "pointer", &m, "request", req, "attendee", req.Attendees[0], "attendees", req.Attendees)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		fmt.Fprintf(&out, verb+verb+verb, m, &m, req)
		fmt.Fprintf(&out, verb+verb+verb, req.Attendees, req.Attendees[0], &req.Attendees[0])
	}
	require.NotContains(t, out.String(), "canary")
	require.Contains(t, out.String(), "m1")
}

// A handler turns an error into an answer: it needs the field, not the text.
func ExampleFieldError() {
	_, err := meettest.New().Create(context.Background(), "dr-rao", meet.Request{Key: "appt-42", Duration: time.Hour})
	if field, ok := errors.AsType[*telemed.FieldError](err); ok {
		fmt.Println("400", field.Field, field.Problem)
	}
	// Output: 400 Start is required
}

func Example() {
	kolkata, _ := time.LoadLocation("Asia/Kolkata")
	var provider meet.MeetingProvider = meettest.New() // zoom.New or googlemeet.New in production

	ctx := context.Background()
	req := meet.Request{Key: "appt-42", Start: time.Date(2036, 3, 1, 10, 30, 0, 0, kolkata), Duration: 30 * time.Minute}
	m, err := provider.Create(ctx, "dr-rao", req)
	fmt.Println(m, err)

	req.Start = req.Start.Add(time.Hour)
	moved, err := provider.Update(ctx, "dr-rao", m.ID, req)
	fmt.Println(moved.JoinURL == m.JoinURL, moved.Start.Format("15:04 MST"), err)
	// Output:
	// {provider:meettest id:meeting-1 status:scheduled start:2036-03-01T10:30:00+05:30} <nil>
	// true 11:30 IST <nil>
}
