package template_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/template"
)

func get(t *testing.T, handler http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

var frameLink = regexp.MustCompile(`<iframe sandbox loading="lazy" src="([^"]+)"`)

// TestPreview: all templates, the application's too, in all languages and in every form.
func TestPreview(t *testing.T) {
	t.Parallel()
	cfg := withFiles("en/lab_ready.subject", "Your result", "en/lab_ready.txt", "{{.Data.Test}}", "en/lab_ready.whatsapp", "lab_ready en\n{{.Data.Test}}",
		"en/appointment_confirmed.subject", "Booked")
	cfg.AllowUnreviewed = false
	cfg.Brand = brand()
	set := newSet(t, cfg)
	for _, root := range []string{"/dev/messages", "/"} {
		page := get(t, set.Preview(), root)
		require.Equal(t, http.StatusOK, page.Code)
		body := html.UnescapeString(page.Body.String())
		for _, name := range set.Names() {
			require.Contains(t, body, `<h2 id="`+name+`">`)
		}
		frames := frameLink.FindAllStringSubmatch(page.Body.String(), -1)
		require.Len(t, frames, (len(set.Names())-1)*len(languages(t)), "lab_ready has no HTML")
		for _, frame := range frames {
			mail := get(t, set.Preview(), root+html.UnescapeString(frame[1]))
			require.Equal(t, http.StatusOK, mail.Code, frame[1])
			require.Contains(t, mail.Body.String(), "<h1")
			require.Equal(t, "default-src 'none'; style-src 'unsafe-inline'; img-src https://clinic.example; form-action 'none'; "+
				"base-uri 'none'; frame-ancestors 'self'; sandbox", mail.Header().Get("Content-Security-Policy"))
		}
		require.Contains(t, body, "lab_ready en")
		require.Contains(t, body, "The application's own, at least in part.")
		require.Contains(t, body, "Reviewed by the authors of this package")
		require.Contains(t, body, "Nobody has reviewed it")
		require.Contains(t, body, "BEGIN:VCALENDAR\n")
		require.Contains(t, body, "Hello Sample Reader,\n\nYour video consultation is confirmed.\n\nDoctor: Dr Sample\nTime: Monday, 2 March 2026, 10:30 AM IST")
		require.Contains(t, body, "starts in 40 minutes")
		require.NotContains(t, body, "<script")
		require.NotContains(t, body, "{{")
		csp := page.Header().Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'; style-src 'sha256-")
		require.NotContains(t, csp, "unsafe")
		_, style, _ := strings.Cut(page.Body.String(), "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		hash := sha256.Sum256([]byte(style))
		require.Contains(t, csp, base64.StdEncoding.EncodeToString(hash[:]), "the style is the one that is allowed")
		require.Equal(t, "no-store", page.Header().Get("Cache-Control"))
	}
}

func TestPreviewChoices(t *testing.T) {
	t.Parallel()
	handler := newSet(t, config()).Preview()
	hindi := get(t, handler, "/?language=hi&data=few&clock=abroad").Body.String()
	require.NotContains(t, hindi, "Hello")
	require.NotContains(t, hindi, "12345")
	require.Contains(t, hindi, "खाड़ी समय")
	frame := frameLink.FindStringSubmatch(hindi)
	require.Contains(t, get(t, handler, "/"+html.UnescapeString(frame[1])).Body.String(), "खाड़ी समय")

	require.Equal(t, "default-src 'none'; style-src 'unsafe-inline'; img-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox",
		get(t, handler, "/?mail=appointment_confirmed&language=en").Header().Get("Content-Security-Policy"))
	for _, target := range []string{"/?mail=nothing&language=en", "/?mail=appointment_confirmed&language=xx", "/?mail=appointment_confirmed"} {
		require.Equal(t, http.StatusNotFound, get(t, handler, target).Code, target)
	}
	require.NotContains(t, get(t, handler, "/?language=%3Cscript%3E").Body.String(), "<script")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, []any{http.StatusMethodNotAllowed, "GET, HEAD"}, []any{w.Code, w.Header().Get("Allow")})
}

// TestAccessible: axe finds nothing wrong with the page and with any mail, on a phone and on
// a desk, in light and in dark. It needs Chromium, node, playwright-core and axe-core.
func TestAccessible(t *testing.T) {
	t.Parallel()
	modules := os.Getenv("TELEMED_NODE_MODULES")
	if modules == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds playwright-core and axe-core")
	}
	if _, err := os.Stat(filepath.Join(modules, "axe-core")); err != nil {
		t.Skip("TELEMED_NODE_MODULES names a folder without axe-core 4")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	cfg := config()
	cfg.Brand = template.Brand{Address: "12 Lake Road, Pune", Phone: "+91 20 5555 0100", Registration: "MH/CE/2021/17", GSTIN: "27AAAAA0000A1Z5"}
	server := httptest.NewServer(newSet(t, cfg).Preview())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/accessible.cjs", server.URL)
	cmd.Env = append(os.Environ(), "TELEMED_CHROMIUM="+chromium)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, strings.TrimSpace(string(out)), "0 violations")
}
