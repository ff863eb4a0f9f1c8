package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/examples/internal/local"
)

var pattern = regexp.MustCompile(`"((?:GET|POST) )?(/[^"]*)"`)

// routes are all that files mount, each with a method and a path.
func routes(t *testing.T, files ...string) [][2]string {
	t.Helper()
	var source []byte
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "mux.Handle") {
				source = append(source, line...)
			}
		}
	}
	var found [][2]string
	for _, match := range pattern.FindAllStringSubmatch(string(source), -1) {
		path := strings.NewReplacer("{$}", "", "{page}", "x", "{n}", "0", "{id}", "x").Replace(match[2])
		found = append(found, [2]string{"GET", path}, [2]string{"POST", path})
	}
	require.Greater(t, len(found), 10)
	return found
}

// allRoutes are those of the pages and of the SDK's handlers.
func allRoutes(t *testing.T) [][2]string {
	t.Helper()
	found := routes(t, "pages.go", "hospital.go")
	for _, last := range []string{"connect", "callback", "status", "disconnect"} {
		found = append(found, [2]string{"GET", "/api/auth/zoom/doctor/" + last}, [2]string{"POST", "/api/auth/zoom/doctor/" + last})
	}
	for _, query := range []string{"EIO=4&transport=polling", "EIO=4&transport=polling&sid=x", "EIO=4&transport=websocket"} {
		found = append(found, [2]string{"GET", "/socket.io/?" + query}, [2]string{"POST", "/socket.io/?" + query})
	}
	require.Greater(t, len(found), 40)
	return found
}

// begin sends the head of a request and the first byte of its body.
func begin(t *testing.T, w *ward, method, path string) net.Conn {
	t.Helper()
	host := strings.TrimPrefix(w.base, "http://")
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\na", method, path, host)
	require.NoError(t, err)
	return conn
}

// No page can be held by a body that never comes. All are tried at once. The handlers of the
// SDK give a body ten seconds, whatever the hospital says, and have tests of that.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	w := newWard(t, options{bodyTime: 100 * time.Millisecond}, local.Providers{})
	var all sync.WaitGroup
	for _, route := range routes(t, "pages.go") {
		conn := begin(t, w, route[0], route[1])
		all.Go(func() {
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s %s is held for a minute", route[0], route[1])
			}
		})
	}
	all.Wait()
}

// The process ends in time, though people have not finished their forms.
func TestEndUnderSlowPosts(t *testing.T) {
	t.Parallel()
	w := newWard(t, options{}, local.Providers{})
	for _, route := range allRoutes(t) {
		begin(t, w, route[0], route[1])
	}
	time.Sleep(100 * time.Millisecond) // most of them are being served now
	began := time.Now()
	require.NoError(t, w.stop())
	require.Less(t, time.Since(began), 5*time.Second)
}

// The page of a stranger whose name leads here is nobody's own page.
func TestStrangersName(t *testing.T) {
	w := start(t)
	for _, route := range allRoutes(t) {
		r, err := http.NewRequestWithContext(t.Context(), route[0], w.base+route[1], nil)
		require.NoError(t, err)
		r.Host = "evil.example"
		r.Header.Set("Origin", "http://evil.example")
		answer, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusMisdirectedRequest, answer.StatusCode, route)
		require.Empty(t, answer.Cookies())
	}
}

func TestLoginsAreLimited(t *testing.T) {
	w := start(t)
	refused := 0
	for range 100 {
		p, err := w.patient.post("/login", nil)
		require.NoError(t, err)
		if p.code == http.StatusTooManyRequests {
			require.Contains(t, p.body, "try again in a minute")
			refused++
		}
	}
	require.GreaterOrEqual(t, refused, 60)
}

func TestFoldersAreNotListed(t *testing.T) {
	w := start(t)
	for path, code := range map[string]int{"/static/": 404, "/static/thirdparty/": 404, "/static/thirdparty": 404, "/static/style.css": 200} {
		p, err := w.patient.get(path)
		require.NoError(t, err)
		require.Equal(t, code, p.code, path)
	}
}

// Behind a proxy with TLS, cookies travel by https alone. Nobody else's word is believed.
func TestCookiesBehindAProxy(t *testing.T) {
	t.Parallel()
	for public, secure := range map[string]bool{"https://clinic.example": true, "": false} {
		w := newWard(t, options{public: public}, local.Providers{})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.base+"/login", nil)
		require.NoError(t, err)
		r.Host = strings.TrimPrefix(w.h.base[strings.Index(w.h.base, "/"):], "//")
		r.Header.Set("X-Forwarded-Proto", "https")
		answer, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusSeeOther, answer.StatusCode)
		require.Len(t, answer.Cookies(), 1)
		require.Equal(t, secure, answer.Cookies()[0].Secure)
	}
	_, err := open(t.Context(), options{addr: "127.0.0.1:0", public: "clinic.example", log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "-url")
}

var (
	formOf = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)"`)
	linkTo = regexp.MustCompile(`<a class="button[^"]*"[^>]* href="([^"]*)"`)
)

// A browser follows a form only where form-action lets it, redirects included. Every form
// and every button of the hospital's pages leads on, to the providers' pages too.
func TestPagesLeadOn(t *testing.T) {
	w := unpaid(t, "google")
	_, err := w.staff.post("/login", nil)
	require.NoError(t, err)
	_, err = w.disconnect()
	require.NoError(t, err)
	var forms, away []string
	for path, who := range map[string]*browser{"/": w.patient, "/book": w.patient, w.visit: w.patient, "/doctor/settings/integration": w.staff, "/clinic": w.patient} {
		body, policy := w.look(t, who, path)
		for _, match := range linkTo.FindAllStringSubmatch(body, -1) {
			p, err := who.get(html.UnescapeString(match[1]))
			require.NoError(t, err)
			// 401 is the page to log in.
			require.Contains(t, []int{http.StatusOK, http.StatusUnauthorized}, p.code, match[1])
			if strings.HasPrefix(p.path, "http") {
				away = append(away, match[1])
			}
		}
		for _, match := range formOf.FindAllStringSubmatch(body, -1) {
			forms = append(forms, match[1])
			w.submit(t, who, html.UnescapeString(match[1]), policy)
		}
	}
	require.GreaterOrEqual(t, len(forms), 5, forms)
	require.GreaterOrEqual(t, len(away), 2, "the consent page and the checkout: %s", away)
}

// look returns a page and the sources of its form-action.
func (w *ward) look(t *testing.T, who *browser, path string) (body, formAction string) {
	t.Helper()
	answer, err := who.client.Get(w.base + path)
	require.NoError(t, err)
	policy := answer.Header.Get("Content-Security-Policy")
	p, err := who.read(answer, nil)
	require.NoError(t, err)
	for directive := range strings.SplitSeq(policy, ";") {
		if sources, ok := strings.CutPrefix(strings.TrimSpace(directive), "form-action "); ok {
			return p.body, sources
		}
	}
	t.Fatalf("%s has no form-action", path)
	return "", ""
}

// submit posts an empty form as a browser does that keeps a policy.
func (w *ward) submit(t *testing.T, who *browser, action, policy string) {
	t.Helper()
	allowed := func(u *url.URL) error {
		for source := range strings.FieldsSeq(strings.ReplaceAll(policy, "'self'", w.base)) {
			if source == u.Scheme+"://"+u.Host {
				return nil
			}
		}
		return fmt.Errorf("form-action %s blocks %s", policy, u)
	}
	jar, err := cookiejar.New(nil) // a logout must not end what follows
	require.NoError(t, err)
	base, err := url.Parse(w.base)
	require.NoError(t, err)
	jar.SetCookies(base, who.client.Jar.Cookies(base))
	client := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error { return allowed(r.URL) }}
	target, err := base.Parse(action)
	require.NoError(t, err)
	require.NoError(t, allowed(target))
	answer, err := client.PostForm(target.String(), nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.NotEqual(t, http.StatusForbidden, answer.StatusCode, action)
}

// A login that ends takes its dashboard with it.
func TestEndOfALogin(t *testing.T) {
	w := start(t)
	_, err := w.openDashboard()
	require.NoError(t, err)
	for range 1001 { // as many as there may be, so that the oldest go
		require.NoError(t, w.h.door.Begin(discard{}, &http.Request{}, doctor.ID))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	select {
	case <-w.dashboard.Done():
	case <-ctx.Done():
		t.Fatal("the dashboard outlives its login")
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
