package template_test

import (
	"net/http/httptest"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

func clinicConfig() template.Config { return template.Config{Clinic: "Clinic", Zone: time.UTC} }

// TestNewIsCheap: an application may have a Set for each of many clinics.
func TestNewIsCheap(t *testing.T) {
	cfg := clinicConfig()
	cfg.AllowUnreviewed = true
	_, err := template.New(cfg) // makes the built-in templates
	require.NoError(t, err)
	cfg.FS = fstest.MapFS{"en/appointment_reminder.subject": {Data: []byte("Soon")}}
	allocs := testing.AllocsPerRun(1, func() { _, err = template.New(cfg) })
	require.NoError(t, err)
	require.Less(t, allocs, 60_000.0)
}

// TestSharedTemplatesAreAsTheyWere: what one Set changes, no other one shows.
func TestSharedTemplatesAreAsTheyWere(t *testing.T) {
	cfg := clinicConfig()
	cfg.FS = fstest.MapFS{
		"en/appointment_reminder.subject": {Data: []byte("Soon")},
		"layout.html":                     {Data: []byte(`{{define "page"}}<p>Ours</p>{{end}}`)},
	}
	ours, err := template.New(cfg)
	require.NoError(t, err)
	cfg.FS = nil
	plain, err := template.New(cfg)
	require.NoError(t, err)
	msg := notify.Message{Template: template.Reminder, Data: template.Appointment{
		Key: "k", Patient: "Asha", Doctor: "Dr Mehta", Start: time.Now().Add(time.Hour),
	}}
	content, err := ours.Render(msg)
	require.NoError(t, err)
	require.Equal(t, "Soon", content.Subject)
	require.Equal(t, "<p>Ours</p>", content.HTML)
	content, err = plain.Render(msg)
	require.NoError(t, err)
	require.NotEqual(t, "Soon", content.Subject)
	require.NotContains(t, content.HTML, "Ours")
}

// TestOwnLayoutIsTriedInEveryLanguage: also in those that are not sent.
func TestOwnLayoutIsTriedInEveryLanguage(t *testing.T) {
	for _, name := range []string{"layout.html", "hi/layout.html", "en/layout.html"} {
		cfg := clinicConfig()
		cfg.FS = fstest.MapFS{name: {Data: []byte(`{{define "page"}}{{.Missing}}{{end}}`)}}
		_, err := template.New(cfg)
		require.ErrorContains(t, err, "hi/appointment_reminder does not take its sample", name)
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, err := template.New(clinicConfig())
		require.NoError(b, err)
	}
}

func BenchmarkPreview(b *testing.B) {
	set, err := template.New(clinicConfig())
	require.NoError(b, err)
	b.ReportAllocs()
	handler := set.Preview()
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), "GET", "/", nil))
		require.Equal(b, 200, w.Code)
	}
}
