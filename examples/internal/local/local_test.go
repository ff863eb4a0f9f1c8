package local_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// use asks for each configuration, hands it to the package that it is for, and counts the
// servers that run then.
func use(p *local.Providers) (running int, err error) {
	google, err1 := p.GoogleConfig()
	meetings, err2 := p.ZoomConfig()
	money, err3 := p.RazorpayConfig()
	mail, err4 := p.MailConfig()
	chat, err5 := p.WhatsAppConfig()
	for _, runs := range []bool{p.Google != nil, p.Zoom != nil, p.Razorpay != nil, p.Mail != nil, p.WhatsApp != nil} {
		if runs {
			running++
		}
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return running, err
	}
	google.Tokens, meetings.Tokens = store.NewMemory(), store.NewMemory()
	_, err1 = googlemeet.New(google)
	_, err2 = zoom.New(meetings)
	_, err3 = razorpay.New(money)
	_, err4 = smtp.New(mail)
	_, err5 = whatsapp.New(chat)
	return running, errors.Join(err1, err2, err3, err4, err5)
}

func TestProviders(t *testing.T) {
	t.Parallel()
	account := map[string]string{
		"GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "s3cret", "GOOGLE_REDIRECT_URI": "http://localhost:3000/callback",
		"ZOOM_CLIENT_ID": "id", "ZOOM_CLIENT_SECRET": "s3cret", "ZOOM_REDIRECT_URI": "http://localhost:3000/callback",
		"RAZORPAY_KEY_ID": "rzp_test_1", "RAZORPAY_KEY_SECRET": "s3cret",
		"EMAIL_HOST": "mail.example", "EMAIL_USER": "care", "EMAIL_PASS": "s3cret", "EMAIL_FROM": "care@clinic.example",
		"WHATSAPP_ACCESS_TOKEN": "s3cret", "WHATSAPP_PHONE_NUMBER_ID": "1",
	}
	env := account
	p := local.Providers{Getenv: func(name string) string { return env[name] }}
	defer p.Close()
	running, err := use(&p)
	require.NoError(t, err)
	require.Zero(t, running, "real accounts need no server")

	for name := range account { // one that is named by half
		env = maps.Clone(account)
		delete(env, name)
		running, err = use(&p)
		require.ErrorContains(t, err, ": set "+name)
		require.Zero(t, running)
	}

	env = map[string]string{}
	running, err = use(&p)
	require.NoError(t, err)
	require.Equal(t, 5, running)
	first := p.Zoom
	_, err = use(&p)
	require.NoError(t, err)
	require.Same(t, first, p.Zoom)
}
