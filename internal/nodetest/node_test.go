package nodetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// fakes is what the backend talks to: all of it by TLS, with certificates that are handed
// over as a file.
type fakes struct {
	google   *googlemeettest.Server
	zoom     *zoomtest.Server
	razorpay *razorpaytest.Server
	smtp     *smtptest.Server
	whatsapp *whatsapptest.Server
}

const (
	redirectURL  = "http://localhost:3001/api/auth/callback"
	mailUser     = "no-reply@clinic.example"
	mailPassword = "mail-password"
)

func startFakes(t *testing.T) *fakes {
	t.Helper()
	return &fakes{
		google:   googlemeettest.NewServer(t, googlemeettest.Config{TLS: true, Lenient: true}),
		zoom:     zoomtest.NewServer(t, zoomtest.Config{TLS: true}),
		razorpay: razorpaytest.NewServer(t, razorpaytest.Config{TLS: true}),
		smtp:     smtptest.NewServer(t, smtptest.Config{Username: mailUser, Password: mailPassword}),
		whatsapp: whatsapptest.NewServer(t, whatsapptest.Config{TLS: true}),
	}
}

// environment is what the backend is told.
func (f *fakes) environment(t *testing.T) string {
	t.Helper()
	host, port, err := net.SplitHostPort(f.smtp.Addr())
	require.NoError(t, err)
	portNumber, err := strconv.Atoi(port)
	require.NoError(t, err)
	google, zoom := f.google.Endpoints(), f.zoom.Endpoints()
	encoded, err := json.Marshal(map[string]map[string]any{
		"google": {
			"url": f.google.URL(), "authorize": google.Authorize, "token": google.Token, "revoke": google.Revoke,
			"clientID": f.google.ClientID(), "clientSecret": f.google.ClientSecret().Reveal(), "redirectURL": redirectURL,
		},
		"zoom": {
			"authorize": zoom.Authorize, "token": zoom.Token, "api": zoom.API,
			"clientID": f.zoom.ClientID(), "clientSecret": f.zoom.ClientSecret().Reveal(), "redirectURL": redirectURL,
		},
		"razorpay": {"url": f.razorpay.URL(), "keyID": f.razorpay.KeyID(), "keySecret": f.razorpay.KeySecret().Reveal()},
		"smtp":     {"host": host, "port": portNumber, "username": mailUser, "password": mailPassword},
		"whatsapp": {"url": f.whatsapp.URL(), "phoneNumberID": f.whatsapp.PhoneNumberID(), "token": f.whatsapp.Token().Reveal()},
	})
	require.NoError(t, err)
	return string(encoded)
}

// certificates writes the file that Node.js reads.
func (f *fakes) certificates(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "certificates.pem")
	all := slices.Concat(
		f.google.Certificate(), f.zoom.Certificate(), f.razorpay.Certificate(), f.smtp.Certificate(), f.whatsapp.Certificate(),
	)
	require.NoError(t, os.WriteFile(file, all, 0o600))
	return file
}

// run runs the backend and returns what came of each step.
func (f *fakes) run(t *testing.T) map[string]map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", "backend.cjs"), f.environment(t))
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+f.certificates(t))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	steps := map[string]map[string]any{}
	for line := bufio.NewScanner(bytes.NewReader(out)); line.Scan(); {
		var came map[string]any
		require.NoError(t, json.Unmarshal(line.Bytes(), &came))
		steps[came["step"].(string)] = came
	}
	return steps
}

// TestBackend: each call is answered as the real service answers it, and is found in the
// fake.
func TestBackend(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds @googleapis/calendar, google-auth-library, razorpay, " +
			"nodemailer and axios. With them this test proves that a backend in Node.js, which was written for the real services, works with the fakes")
	}
	f := startFakes(t)
	steps := f.run(t)
	require.Len(t, steps, 12)
	for name, want := range map[string]map[string]any{
		"googleConsent":    {"state": "doctor-7", "refresh": true, "scope": googlemeet.ScopeEvents},
		"googleEvent":      {},
		"googleExpired":    {"events": 1.0},
		"zoomConsent":      {"status": 200.0, "refresh": true},
		"zoomMeeting":      {"status": 201.0},
		"zoomRefused":      {"status": 401.0, "code": 124.0},
		"razorpayOrder":    {"amount": 50000.0, "status": "created"},
		"mailPlain":        {"accepted": []any{"asha@example.org"}},
		"mailLogin":        {},
		"mailRefused":      {"code": "EAUTH", "status": 535.0},
		"whatsappTemplate": {"status": 200.0, "to": "919876543210"},
		"whatsappRefused":  {"status": 404.0, "code": 132001.0, "trace": true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, steps[name]["problem"])
			for field, value := range want {
				require.Equal(t, value, steps[name][field], field)
			}
		})
	}
	t.Run("what the fakes hold", func(t *testing.T) { f.check(t, steps) })
}

func (f *fakes) check(t *testing.T, steps map[string]map[string]any) {
	t.Helper()
	events := f.google.Events()
	require.Len(t, events, 1)
	require.NotEmpty(t, events[0].JoinURL)
	require.Equal(t, events[0].JoinURL, steps["googleEvent"]["link"])
	require.Equal(t, []string{"asha@example.org"}, events[0].Attendees)
	require.Equal(t, 1, f.google.Refreshes())

	meetings := f.zoom.Meetings()
	require.Len(t, meetings, 1)
	require.Equal(t, "Asia/Kolkata", meetings[0].TimeZone)
	require.Contains(t, steps["zoomMeeting"]["link"], f.zoom.URL())

	mails := f.smtp.Messages()
	require.Len(t, mails, 2)
	for _, mail := range mails {
		require.True(t, mail.TLS)
		require.Equal(t, mailUser, mail.Username)
		require.Equal(t, "Appointment Confirmed – आशा", mail.Subject)
		require.Contains(t, mail.HTML, "Dear आशा")
	}

	chats := f.whatsapp.Messages()
	require.Len(t, chats, 1)
	require.Equal(t, steps["whatsappTemplate"]["id"], chats[0].ID)
	require.Contains(t, chats[0].Text, "Hello Asha,\n\nYour video consultation is confirmed.\n\nDoctor: Dr. Rao\n")
}
