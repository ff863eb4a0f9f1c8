package main

import (
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// printed is what env -0 prints.
func printed(text string) map[string]string {
	all := map[string]string{}
	for entry := range strings.SplitSeq(text, "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		all[name] = value
	}
	return all
}

func TestVariables(t *testing.T) {
	t.Parallel()
	status, stdout, _ := sandbox(t, []string{
		"PATH=/usr/bin:/bin", "HOME=/home/asha", "RAZORPAY_KEY_ID=rzp_live_real", "EMAIL_PASS=real", "ZOOM_BASE_URL=https://zoom.us",
		"FRONTEND_URL=http://localhost:5173", "GOOGLE_REDIRECT_URI=http://localhost:3000/api/google/cb",
	}, "-api", "http://127.0.0.1:3002/v1", "env", "-0")
	require.Zero(t, status)
	got := printed(stdout)
	for _, name := range []string{
		"GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "GOOGLE_BASE_URL",
		"ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_WEBHOOK_SECRET", "ZOOM_BASE_URL",
		"RAZORPAY_KEY_ID", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRET", "RAZORPAY_BASE_URL",
		"EMAIL_HOST", "EMAIL_PORT", "EMAIL_USER", "EMAIL_PASS", "EMAIL_FROM", "EMAIL_TLS_CA", "EMAIL_TLS_CA_FILE", "NODE_EXTRA_CA_CERTS", "SANDBOX_URL",
		"WHATSAPP_ACCESS_TOKEN", "WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN", "WHATSAPP_BASE_URL",
	} {
		require.NotEmpty(t, got[name], name)
	}
	require.Equal(t, "/home/asha", got["HOME"])
	require.Equal(t, "http://localhost:5173", got["FRONTEND_URL"], "the application's own")
	require.Equal(t, "http://localhost:3000/api/google/cb", got["GOOGLE_REDIRECT_URI"], "the application's own")
	require.Equal(t, "http://127.0.0.1:3002/v1/auth/zoom/doctor/callback", got["ZOOM_REDIRECT_URI"])
	require.True(t, strings.HasPrefix(got["RAZORPAY_KEY_ID"], "rzp_test_"), "a real account is never touched")
	require.NotEqual(t, "real", got["EMAIL_PASS"])
	require.True(t, strings.HasPrefix(got["ZOOM_BASE_URL"], "http://127.0.0.1:"))
	require.Equal(t, 1, strings.Count("\x00"+stdout, "\x00RAZORPAY_KEY_ID="))
	key, err := base64.StdEncoding.DecodeString(got["CLINIC_KEY"])
	require.NoError(t, err)
	require.Len(t, key, 32)
	require.True(t, x509.NewCertPool().AppendCertsFromPEM([]byte(got["EMAIL_TLS_CA"])))
}

// TestAnotherTerminal: a shell that reads what -env prints has the variables of the
// sandbox that runs.
func TestAnotherTerminal(t *testing.T) {
	t.Parallel()
	listen := address(freePorts(t))
	log, write := io.Pipe()
	s := startSandbox(t, write, "-listen", listen)
	seen := make([]byte, 0, 4096)
	for buffer := make([]byte, 512); !strings.Contains(string(seen), "Ctrl-C ends it"); {
		n, err := log.Read(buffer)
		require.NoError(t, err)
		seen = append(seen, buffer[:n]...)
	}
	status, stdout, stderr := sandbox(t, nil, "-listen", listen, "-env")
	require.Zero(t, status, stderr)
	shell := exec.CommandContext(t.Context(), "sh", "-c", stdout+`printf '%s' "$WHATSAPP_BASE_URL $EMAIL_FROM $EMAIL_TLS_CA"`)
	got, err := shell.Output()
	require.NoError(t, err)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+ City Clinic <care@clinic\.example> -----BEGIN CERTIFICATE-----\n`, string(got))
	_, port, err := net.SplitHostPort(listen)
	require.NoError(t, err)
	for _, everywhere := range []string{":" + port, "0.0.0.0:" + port} { // as the sandbox takes it
		status, same, stderr := sandbox(t, nil, "-listen", everywhere, "-env")
		require.Zero(t, status, stderr)
		require.Equal(t, stdout, same)
	}
	s.signals <- syscall.SIGINT
	require.Zero(t, <-s.ended)

	status, stdout, stderr = sandbox(t, nil, "-listen", listen, "-env")
	require.Equal(t, exitFailed, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "no sandbox runs at "+listen)
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	_, stdout, stderr = sandbox(t, nil, "-listen", strings.TrimPrefix(other.URL, "http://"), "-env")
	require.Empty(t, stdout)
	require.Contains(t, stderr, "is no sandbox")
}

func TestExportQuotes(t *testing.T) {
	t.Parallel()
	text := export([]variable{{"A", `it's $HOME "x" \n`}, {"B", "two\nlines"}})
	got, err := exec.CommandContext(t.Context(), "sh", "-c", text+`printf '%s|%s' "$A" "$B"`).Output()
	require.NoError(t, err)
	require.Equal(t, `it's $HOME "x" \n`+"|two\nlines", string(got))
}

// TestCertificateFile: the file is the one that was asked for, or one that is gone at the
// end. What Node.js trusts already stays trusted.
func TestCertificateFile(t *testing.T) {
	t.Parallel()
	own := filepath.Join(t.TempDir(), "own.pem")
	require.NoError(t, os.WriteFile(own, []byte("the company's\n"), 0o600))
	file := filepath.Join(t.TempDir(), "certificate.pem")
	show := `printf '%s|%s|' "$EMAIL_TLS_CA_FILE" "$NODE_EXTRA_CA_CERTS"; cat "$EMAIL_TLS_CA_FILE"; printf '|'; cat "$NODE_EXTRA_CA_CERTS"`
	status, stdout, stderr := sandbox(t, []string{"PATH=/usr/bin:/bin", "NODE_EXTRA_CA_CERTS=" + own}, "-certificate", file, "sh", "-c", show)
	require.Zero(t, status, stderr)
	parts := strings.Split(stdout, "|")
	require.Equal(t, file, parts[0])
	require.True(t, strings.HasPrefix(parts[2], "-----BEGIN CERTIFICATE-----\n"))
	require.Equal(t, parts[2]+"the company's\n", parts[3])
	require.FileExists(t, file)
	require.NoFileExists(t, parts[1])

	status, stdout, stderr = sandbox(t, []string{"PATH=/usr/bin:/bin"}, "sh", "-c", show)
	require.Zero(t, status, stderr)
	parts = strings.Split(stdout, "|")
	require.Equal(t, parts[0], parts[1])
	require.NoFileExists(t, parts[0])
	status, _, stderr = sandbox(t, nil, "-certificate", "/no/such/folder/c.pem", "true")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "sandbox: certificate: ")
}
