package template_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

type labReady struct{ Test, Link string }

func (l labReady) Validate() error {
	var p fault.Problems
	p.Required("Test", l.Test)
	return p.Err("lab")
}

func files(pairs ...string) fstest.MapFS {
	made := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		made[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return made
}

func withFiles(pairs ...string) template.Config {
	cfg := config()
	cfg.FS = files(pairs...)
	cfg.Samples = map[string]any{"lab_ready": labReady{"Blood", "https://clinic.example/lab"}}
	return cfg
}

func TestHostTemplates(t *testing.T) {
	t.Parallel()
	set := newSet(t, withFiles(
		"en/lab_ready.subject", "Your result is ready\n",
		"en/lab_ready.txt", "Hello {{.To}}, {{.Data.Test}}: {{.Data.Link}}",
		"en/lab_ready.html", `{{define "preheader"}}Ready{{end}}{{define "content"}}<p>{{.Data.Test}}</p>{{template "button" (pair "Open" .Data.Link)}}{{end}}`,
		"en/lab_ready.whatsapp", "lab_ready en_US\r\n{{.To}}\r\n{{.Data.Test}}",
		".DS_Store", "x", ".git/config", "x",
	))
	require.Equal(t, []string{
		template.Cancelled, template.Confirmed, template.JoinNow, template.NoShow, template.Reminder,
		template.Rescheduled, template.VisitWaiting, template.DoctorBooked, template.DoctorCancelled,
		template.DoctorLate, template.DoctorMoved, template.Reconnect, template.TodaysList,
		template.DocumentReady, "lab_ready", template.OneTimePassword, template.PaymentAsked,
		template.PaymentFailed, template.PaymentReceived, template.RefundPending, template.Refunded,
	}, set.Names())
	got := render(t, set, message("lab_ready", "hi", &labReady{"Blood\n\tcount <b>", "javascript:alert(1)"}))
	require.Equal(t, "Your result is ready", got.Subject)
	require.Contains(t, got.HTML, "count &lt;b&gt;")
	require.NotContains(t, got.HTML, "javascript:")
	require.Equal(t, &notify.WhatsAppTemplate{Name: "lab_ready", Language: "en_US", Body: []string{"Asha Rao", "Blood count <b>"}}, got.WhatsApp)
	require.Empty(t, got.Files)

	_, err := set.Render(message("lab_ready", "en", labReady{}))
	require.Equal(t, []string{"Data.Test"}, fields(t, err))
}

// prescription has its method on the pointer, as many types do.
type prescription struct{ Link string }

func (p *prescription) Validate() error {
	if p.Link == "" {
		return errors.New("zkmark")
	}
	p.Link = "changed"
	return nil
}

func TestValidateOnAPointer(t *testing.T) {
	t.Parallel()
	cfg := withFiles("en/prescription.subject", "Ready", "en/prescription.txt", "{{.Data.Link}}")
	cfg.Samples = map[string]any{"prescription": &prescription{"x"}}
	set := newSet(t, cfg)
	for _, data := range []any{prescription{}, &prescription{}} {
		_, err := set.Render(message("prescription", "en", data))
		require.Equal(t, []string{"Data"}, fields(t, err))
		require.NotContains(t, err.Error(), "zkmark")
	}
	mine := &prescription{"https://clinic.example/p"}
	require.Equal(t, "https://clinic.example/p", render(t, set, message("prescription", "en", mine)).Text)
	require.Equal(t, "https://clinic.example/p", mine.Link, "the application's data stays as it is")
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	cfg := withFiles(
		"hi-IN/layout.html", `{{define "footer"}}दूसरा{{end}}`,
		"en/layout.html", `{{define "footer"}}Our own words{{end}}`,
		"en/appointment_confirmed.subject", "Booked: {{.Date .Data.Start}}",
	)
	cfg.Samples = nil
	set := newSet(t, cfg)
	got := render(t, set, message(template.Confirmed, "en", appointment()))
	require.Equal(t, "Booked: 2 March 2026", got.Subject)
	require.Contains(t, got.HTML, "Our own words")
	require.Contains(t, got.Text, "Your video consultation is confirmed.")
	require.NotContains(t, render(t, set, message(template.Confirmed, "hi-IN", appointment())).HTML, "Our own words")
}

func TestSubjectOfHostDataIsOneLine(t *testing.T) {
	t.Parallel()
	set := newSet(t, withFiles("en/lab_ready.subject", "{{.Data.Test}}", "en/lab_ready.txt", "x"))
	for _, hostile := range []string{"a\r\nBcc: zkmark@x.example", "zkmark\nb", "zkmark\x00", "\n"} {
		_, err := set.Render(message("lab_ready", "en", labReady{hostile, ""}))
		require.Equal(t, []string{"Data"}, fields(t, err), "%q", hostile)
		require.NotContains(t, err.Error(), "zkmark")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	mail := func(more ...string) template.Config {
		return withFiles(append([]string{"en/lab_ready.subject", "s", "en/lab_ready.txt", "t"}, more...)...)
	}
	for name, c := range map[string]struct {
		cfg  template.Config
		want string
	}{
		"syntax":            {mail("en/lab_ready.txt", "{{.Data.Test"), "unclosed action"},
		"unknown field":     {mail("en/lab_ready.txt", "{{.Data.Tset}}"), "Tset"},
		"unknown html":      {mail("en/lab_ready.html", `{{define "preheader"}}{{end}}{{define "content"}}{{.Data.Tset}}{{end}}`), "Tset"},
		"no content":        {mail("en/lab_ready.html", "<p>hello</p>"), `no such template`},
		"unsafe context":    {mail("en/lab_ready.html", `{{define "preheader"}}{{end}}{{define "content"}}<p style="color:{{.Data.Link}}">x</p>{{end}}`), "cannot make it safe"},
		"ambiguous context": {mail("en/lab_ready.html", `{{define "preheader"}}{{end}}{{define "content"}}<a {{if .To}}href="{{end}}{{.Data.Link}}">x</a>{{end}}`), "context"},
		"empty subject":     {mail("en/lab_ready.subject", "{{if false}}x{{end}}"), "subject"},
		"no text":           {withFiles("en/lab_ready.subject", "s"), "needs both"},
		"html alone":        {withFiles("en/lab_ready.html", `{{define "preheader"}}{{end}}{{define "content"}}x{{end}}`), "needs both"},
		"whatsapp header":   {mail("en/lab_ready.whatsapp", "Lab Ready\nx"), "first line"},
		"empty parameter":   {mail("en/lab_ready.whatsapp", "lab_ready en\nx\n\ny"), "parameter 2"},
		"summary":           {mail("en/lab_ready.summary", "x"), "only an Appointment"},
		"no sample":         {withFiles("en/other.subject", "s", "en/other.txt", "t"), "Samples has no data"},
		"sample too many":   {func() template.Config { c := mail(); c.Samples["lab_reday"] = 1; return c }(), "lab_reday: Samples has data"},
		"no default":        {withFiles("kn/lab_ready.subject", "s", "kn/lab_ready.txt", "t"), "no translation for the default locale"},
		"kinds differ":      {mail("en/lab_ready.whatsapp", "lab_ready en\nx", "kn/lab_ready.subject", "s", "kn/lab_ready.txt", "t"), "kn has txt, but en has txt, whatsapp"},
		"partial override":  {mail("kn/appointment_confirmed.whatsapp", "appointment_confirmed kn\nx"), "appointment_confirmed"},
		"stray file":        {mail("en/lab_ready.text", "x"), "en/lab_ready.text is not named"},
		"stray folder":      {mail("en/more/lab.txt", "x"), "is not named"},
		"default locale":    {func() template.Config { c := config(); c.Locale = "kn"; return c }(), `default locale "kn"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := template.New(c.cfg)
			require.ErrorContains(t, err, c.want)
		})
	}

	_, err := template.New(template.Config{Organizer: "x"})
	require.Equal(t, []string{"Clinic", "Organizer", "Zone"}, fields(t, err))
	require.Regexp(t, "^template: Clinic ", err.Error())

	two := mail("en/lab_ready.txt", "{{.Data.Tset}}", "en/payment_receipt.txt", "{{.Data.Amonut}}")
	_, err = template.New(two)
	require.ErrorContains(t, err, "Tset")
	require.ErrorContains(t, err, "Amonut", "all that is wrong is said at once")
}

type brokenData struct{}

func (brokenData) Word() (string, error) { return "", errors.New("zkmark") }

func TestRenderErrorsHideTheirCause(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.FS = files("en/list.subject", "s", "en/list.txt", "{{index .Data 0}}")
	cfg.Samples = map[string]any{"list": []string{"x"}}
	_, err := newSet(t, cfg).Render(message("list", "en", []string{}))
	require.EqualError(t, err, "template: list: Data does not fit txt")

	cfg.FS, cfg.Samples = files("en/word.subject", "s", "en/word.txt", "{{.Data.Word}}"), map[string]any{"word": brokenData{}}
	_, err = template.New(cfg)
	require.ErrorContains(t, err, "zkmark", "sample data may be shown")
}
