package template_test

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

func TestLocaleFallsBack(t *testing.T) {
	t.Parallel()
	english, hindi := newSet(t, config()), config()
	hindi.Locale = "hi-IN"
	for locale, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "hi": "hi", "hi-IN": "hi", "HI-in": "hi", "hi_IN": "hi", "hi-Deva-IN": "hi",
		"mr": "mr", "kn": "en", "x\r\ny": "en", "-": "en", strings.Repeat("a-", 50): "en",
	} {
		got := render(t, english, message(template.Confirmed, locale, appointment()))
		require.Equal(t, want, got.WhatsApp.Language, "locale %q", locale)
		require.Contains(t, got.HTML, `<html lang="`+want+`" dir="ltr">`)
	}
	got := render(t, newSet(t, hindi), message(template.Confirmed, "kn", appointment()))
	require.Equal(t, "hi", got.WhatsApp.Language, "default is hi")
}

func TestTimesInTheRecipientsZone(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Skip("this machine has no time zones:", err)
	}
	dubai, err := time.LoadLocation("Asia/Dubai")
	require.NoError(t, err)
	set := newSet(t, config())
	for name, c := range map[string]struct {
		zone   *time.Location
		locale string
		start  time.Time
		want   string
	}{
		"none, so the clinic's":     {nil, "en", start.UTC(), "Time: Monday, 2 March 2026, 10:30 AM IST\n"},
		"the clinic's":              {ist, "en", start.UTC(), "Time: Monday, 2 March 2026, 10:30 AM IST\n"},
		"another, the day before":   {newYork, "en", start, "Time: Monday, 2 March 2026, 12:00 AM EST (Monday, 2 March 2026, 10:30 AM IST at the clinic)\n"},
		"another, in summer time":   {newYork, "en", start.AddDate(0, 0, 7), "Time: Monday, 9 March 2026, 1:00 AM EDT (Monday, 9 March 2026, 10:30 AM IST at the clinic)\n"},
		"one without abbreviation":  {dubai, "en", start, "Time: Monday, 2 March 2026, 9:00 AM Gulf time (Monday, 2 March 2026, 10:30 AM IST at the clinic)\n"},
		"one without a name at all": {time.FixedZone("", 5400), "en", start, "Time: Monday, 2 March 2026, 6:30 AM GMT+1:30 (Monday, 2 March 2026, 10:30 AM IST at the clinic)\n"},
		"Hindi, morning":            {nil, "hi", start, "समय: सोमवार, 2 मार्च 2026, सुबह 10:30 बजे IST\n"},
		"Hindi, noon":               {nil, "hi", start.Add(3 * time.Hour), "समय: सोमवार, 2 मार्च 2026, दोपहर 1:30 बजे IST\n"},
		"Hindi, evening":            {nil, "hi", start.Add(7 * time.Hour), "समय: सोमवार, 2 मार्च 2026, शाम 5:30 बजे IST\n"},
		"Hindi, night":              {nil, "hi", start.Add(12 * time.Hour), "समय: सोमवार, 2 मार्च 2026, रात 10:30 बजे IST\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := appointment()
			a.Start = c.start
			msg := message(template.Confirmed, c.locale, a)
			msg.To.Zone = c.zone
			require.Contains(t, render(t, set, msg).Text, c.want)
		})
	}
}

func TestZoneIsRequired(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Zone = nil
	_, err := template.New(cfg)
	require.Equal(t, []string{"Zone"}, fields(t, err))
}

// TestZoneOfATimeCountsForNothing: whatever zone a time carries, each part of each message
// says the same. Databases give UTC, and machines their own.
func TestZoneOfATimeCountsForNothing(t *testing.T) {
	t.Parallel()
	cfg := withFiles(
		"en/own.subject", "{{.Date .Data.Start}}", "en/own.txt", "{{.When .Data.Start}} {{.ClinicTime .Data.Start}} {{.Until .Data.Start}}",
		"en/own.whatsapp", "own en\n{{.Date .Data.Previous}}",
	)
	cfg.Samples = map[string]any{"own": appointment()}
	set := newSet(t, cfg)
	for _, name := range set.Names() {
		for _, locale := range []string{"en", "hi"} {
			for _, zone := range []*time.Location{nil, eastern} {
				msg := message(name, locale, dataFor(name))
				msg.To.Zone = zone
				want := render(t, set, msg)
				for _, carried := range []*time.Location{time.UTC, eastern, time.FixedZone("", 9*3600), time.FixedZone("", -11*3600)} {
					msg.Data = carrying(dataFor(name), carried)
					require.Equal(t, want, render(t, set, msg), "%s in %s to %v", name, locale, zone)
				}
				require.NotContains(t, fmt.Sprintf("%+v", *want.WhatsApp)+want.Subject+want.Text+want.HTML, "UTC")
			}
		}
	}
}

// carrying returns data with the same times in another zone.
func carrying(data any, zone *time.Location) any {
	v := reflect.New(reflect.TypeOf(data)).Elem()
	v.Set(reflect.ValueOf(data))
	for _, field := range v.Fields() {
		if at, ok := field.Interface().(time.Time); ok {
			field.Set(reflect.ValueOf(at.In(zone)))
		}
	}
	return v.Interface()
}

func TestMoney(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	for want, c := range map[string]struct {
		minor    int64
		currency string
	}{
		"₹0.01": {1, "INR"}, "₹500.00": {50000, "INR"}, "₹1,000.50": {100050, "INR"}, "₹1,00,000.00": {10000000, "INR"},
		"₹12,34,56,789.01": {12345678901, "INR"}, "$1,234,567.89": {123456789, "USD"}, "¥5,000": {5000, "JPY"},
		"KWD 0.005": {5, "KWD"}, "KWD 1,234.567": {1234567, "KWD"}, "AED 10.00": {1000, "AED"}, "₹92,23,37,20,36,85,47,758.07": {1<<63 - 1, "INR"},
	} {
		r := receipt()
		r.Amount, r.Currency = c.minor, c.currency
		got := render(t, set, message(template.PaymentReceived, "en", r))
		require.Equal(t, want, got.WhatsApp.Body[1])
		require.Equal(t, "Payment received: "+want+", City Clinic", got.Subject)
	}
}

func TestWithoutOptionalFields(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	a := template.Appointment{Key: "k", Patient: "Asha", Doctor: "Dr M", Start: start}
	got := render(t, set, notify.Message{Template: template.Confirmed, Data: &a})
	require.Contains(t, got.Text, "Hello Asha,")
	require.Contains(t, got.Text, "You will receive the link before the consultation.")
	require.NotContains(t, got.HTML, "href")
	require.NotContains(t, got.Text, "Duration")
	require.Equal(t, "You will receive the link before the consultation.", got.WhatsApp.Body[4])
	require.NoError(t, got.Validate(notify.Email))
	require.NoError(t, got.Validate(notify.WhatsApp))

	a.Clinic, a.Note = "Lake Branch", "Your payment was refunded."
	got = render(t, set, notify.Message{Template: template.Cancelled, Data: a})
	require.Contains(t, got.Text, "Clinic: Lake Branch\n")
	require.Contains(t, got.Text, "Your payment was refunded.")
	require.Contains(t, got.HTML, "Your payment was refunded.")
	require.NotContains(t, got.HTML, "City Clinic")
}

func TestRefused(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	with := func(change func(*template.Appointment)) template.Appointment {
		a := appointment()
		change(&a)
		return a
	}
	link := func(url string) template.Appointment {
		return with(func(a *template.Appointment) { a.JoinURL = url })
	}
	for name, c := range map[string]struct {
		template string
		data     any
		want     []string
	}{
		"unknown template":    {"appointment_lost", appointment(), []string{"Template"}},
		"no template":         {"", appointment(), []string{"Template"}},
		"wrong type":          {template.PaymentReceived, appointment(), []string{"Data"}},
		"other wrong type":    {template.Confirmed, map[string]string{"Patient": "x"}, []string{"Data"}},
		"no data":             {template.Confirmed, nil, []string{"Data"}},
		"nil pointer":         {template.Confirmed, (*template.Appointment)(nil), []string{"Data"}},
		"empty appointment":   {template.Confirmed, template.Appointment{}, []string{"Data.Doctor", "Data.Key", "Data.Patient", "Data.Start"}},
		"empty receipt":       {template.PaymentReceived, template.Payment{}, []string{"Data.Amount", "Data.Currency", "Data.PaidAt", "Data.Patient", "Data.Reference"}},
		"blank name":          {template.Confirmed, with(func(a *template.Appointment) { a.Patient = " \u00a0" }), []string{"Data.Patient"}},
		"two-line name":       {template.Confirmed, with(func(a *template.Appointment) { a.Patient = "Zkmark\r\nBcc: x@y.example" }), []string{"Data.Patient"}},
		"line separator":      {template.Confirmed, with(func(a *template.Appointment) { a.Clinic = "Zkmark\u2028x" }), []string{"Data.Clinic"}},
		"reversed name":       {template.Confirmed, with(func(a *template.Appointment) { a.Doctor = "Zkmark\u202egnp.exe" }), []string{"Data.Doctor"}},
		"not UTF-8":           {template.Confirmed, with(func(a *template.Appointment) { a.Note = "Zkmark\xff" }), []string{"Data.Note"}},
		"long name":           {template.Confirmed, with(func(a *template.Appointment) { a.Patient = strings.Repeat("Zkmark", 40) }), []string{"Data.Patient"}},
		"negative duration":   {template.Confirmed, with(func(a *template.Appointment) { a.Duration = -1 }), []string{"Data.Duration"}},
		"negative sequence":   {template.Confirmed, with(func(a *template.Appointment) { a.Sequence = -1 }), []string{"Data.Sequence"}},
		"javascript link":     {template.Confirmed, link("javascript:alert('zkmark')"), []string{"Data.JoinURL"}},
		"javascript in caps":  {template.Confirmed, link("JavaScript://zkmark/%0aalert(1)"), []string{"Data.JoinURL"}},
		"data link":           {template.Confirmed, link("data:text/html,zkmark"), []string{"Data.JoinURL"}},
		"plain http":          {template.Confirmed, link("http://zkmark.example/"), []string{"Data.JoinURL"}},
		"http to a name":      {template.Confirmed, link("http://127.0.0.1.zkmark.example/"), []string{"Data.JoinURL"}},
		"user in link":        {template.Confirmed, link("https://meet.example@zkmark.example/"), []string{"Data.JoinURL"}},
		"no host":             {template.Confirmed, link("https:///zkmark"), []string{"Data.JoinURL"}},
		"relative":            {template.Confirmed, link("//zkmark.example/x"), []string{"Data.JoinURL"}},
		"line break in link":  {template.Confirmed, link("https://zkmark.example/\r\nATTACH:evil"), []string{"Data.JoinURL"}},
		"quote in link":       {template.Confirmed, link(`https://zkmark.example/"onclick="x`), []string{"Data.JoinURL"}},
		"negative amount":     {template.PaymentReceived, func() any { r := receipt(); r.Amount = -1; return r }(), []string{"Data.Amount"}},
		"empty refund":        {template.RefundPending, template.Refund{}, []string{"Data.Amount", "Data.At", "Data.Currency", "Data.Patient"}},
		"more than was paid":  {template.Refunded, func() any { r := refund(); r.Of = r.Amount - 1; return r }(), []string{"Data.Of"}},
		"two-line refund":     {template.Refunded, func() any { r := refund(); r.Note = "Zkmark\n"; r.Reference = "zkmark\r"; return r }(), []string{"Data.Note", "Data.Reference"}},
		"empty reconnection":  {template.Reconnect, template.Reconnection{}, []string{"Data.Doctor", "Data.Provider", "Data.URL"}},
		"plain http page":     {template.Reconnect, func() any { r := reconnection(); r.URL = "http://zkmark.example/"; return r }(), []string{"Data.URL"}},
		"refund for a doctor": {template.DoctorBooked, refund(), []string{"Data"}},
		"lower-case currency": {template.PaymentReceived, func() any { r := receipt(); r.Currency = "inr"; return r }(), []string{"Data.Currency"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, err := set.Render(message(c.template, "en", c.data))
			require.Nil(t, content)
			require.Equal(t, c.want, fields(t, err))
			require.NotContains(t, strings.ToLower(err.Error()), "zkmark")
		})
	}
	msg := message(template.Confirmed, "en", appointment())
	msg.To.Name = "Zkmark\nx"
	_, err := set.Render(msg)
	require.Equal(t, []string{"To.Name"}, fields(t, err))

	content := render(t, set, message(template.Confirmed, "en", link("http://127.0.0.1:3001/join/7")))
	require.Contains(t, content.HTML, `href="http://127.0.0.1:3001/join/7"`, "loopback is for demonstrations")
}

func TestMarkupBecomesText(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	a := appointment()
	a.Patient = `<img src=x onerror="alert(1)"><a href=https://evil.example>pay</a>`
	msg := message(template.Confirmed, "en", a)
	msg.To.Name = ""
	content := render(t, set, msg)
	require.NotContains(t, content.HTML, "<img")
	require.NotContains(t, content.HTML, "<a href=https://evil")
	require.Contains(t, content.HTML, "&lt;img src=x onerror=")
	_, texts, err := parseHTML(content.HTML)
	require.NoError(t, err)
	require.Contains(t, texts, a.Patient)
	require.Contains(t, content.Text, a.Patient)
}

func TestNothingPersonalIsPrinted(t *testing.T) {
	t.Parallel()
	a, r := appointment(), receipt()
	a.Patient, r.Patient = "Zkmark", "Zkmark"
	a.Doctor, a.JoinURL, a.Note = "Zkmark", "https://zkmark.example", "zkmark"
	var log strings.Builder
	back, again := refund(), reconnection()
	back.Patient, back.Note, again.Doctor = "Zkmark", "zkmark", "Zkmark"
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", a, "r", r, "back", back, "again", again)
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s %q", a, a, a, a, a), fmt.Sprintf("%v %+v %#v %s %q", r, r, r, r, r), fmt.Sprint(&a, &r, &back, &again), log.String(),
		fmt.Sprintf("%v %+v %#v %s %q", back, back, back, back, back), fmt.Sprintf("%v %+v %#v %s %q", again, again, again, again, again),
	} {
		require.NotContains(t, strings.ToLower(text), "zkmark")
	}
}

func TestConcurrentRenders(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	want := render(t, set, message(template.Confirmed, "hi", appointment()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := set.Render(message(template.Confirmed, "hi", appointment()))
				if err != nil || got.HTML != want.HTML {
					t.Errorf("another render gave another page, or %v", err)
				}
			}
		})
	}
	wg.Wait()
}
