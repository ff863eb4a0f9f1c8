package guard_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func newGuard(t *testing.T, cfg guard.Config) *guard.Guard {
	t.Helper()
	cfg.Hosts = []string{"Clinic.example", "127.0.0.1:3001"}
	g, err := guard.New(cfg)
	require.NoError(t, err)
	return g
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func TestHosts(t *testing.T) {
	t.Parallel()
	h := newGuard(t, guard.Config{}).Handler(http.HandlerFunc(ok))
	for host, code := range map[string]int{
		"clinic.example": 200, "CLINIC.example": 200, "127.0.0.1:3001": 200,
		"": 421, "evil.example": 421, "clinic.example:8080": 421, "clinic.example.evil.example": 421, "127.0.0.1": 421, "localhost:3001": 421,
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, code, w.Code, host)
		require.Equal(t, code == 421, w.Header().Get("Connection") == "close")
	}
	for _, hosts := range [][]string{nil, {}, {"clinic.example", ""}} {
		_, err := guard.New(guard.Config{Hosts: hosts})
		require.Error(t, err)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for want, forms := range map[string][]string{
		"form-action 'self';":                              nil,
		"form-action 'self' https://accounts.google.com; ": {"https://accounts.google.com"},
	} {
		w := httptest.NewRecorder()
		newGuard(t, guard.Config{FormAction: forms}).Handler(http.HandlerFunc(ok)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://clinic.example/", nil))
		require.Contains(t, w.Header().Get("Content-Security-Policy"), want)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	}
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{false, true} {
		g := newGuard(t, guard.Config{TrustProxy: trusted})
		for forwarded, https := range map[string]bool{"https": trusted, "HTTPS": trusted, "http": false, "": false, "https, http": false} {
			r := httptest.NewRequest(http.MethodGet, "http://clinic.example/", nil)
			r.Header.Set("X-Forwarded-Proto", forwarded)
			require.Equal(t, https, g.HTTPS(r), "%q, trusted: %t", forwarded, trusted)
			w := httptest.NewRecorder()
			g.SetCookie(w, r, http.Cookie{Name: "a", Value: "b"})
			cookie := w.Result().Cookies()[0]
			require.Equal(t, []any{https, true, http.SameSiteLaxMode}, []any{cookie.Secure, cookie.HttpOnly, cookie.SameSite})
		}
		require.True(t, g.HTTPS(httptest.NewRequest(http.MethodGet, "https://clinic.example/", nil)))
	}
}

// dial serves h in memory, without any timeout of the server's own.
func dial(t *testing.T, h http.Handler) (net.Conn, *http.Server) {
	t.Helper()
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	server := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	conn, err := l.Dial(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return conn, server
}

const half = "POST / HTTP/1.1\r\nHost: clinic.example\r\nContent-Length: 6\r\n\r\nabc"

// Whatever a handler does with a body, one that does not come ends the connection.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]http.HandlerFunc{
		"reads nothing": ok,
		"reads some":    func(_ http.ResponseWriter, r *http.Request) { _, _ = r.Body.Read(make([]byte, 1)) },
		"reads all":     func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) },
		"wants it whole": guard.Whole(10, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Error("half a form was handled")
		})).ServeHTTP,
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, _ := dial(t, newGuard(t, guard.Config{}).Handler(next))
			began := time.Now()
			_, err := io.WriteString(conn, half)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(began.Add(time.Hour)))
			_, err = io.Copy(io.Discard, conn)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, name)
			require.Less(t, time.Since(began), 12*time.Second, name)
		})
	}
}

// A body that was read to its end leaves no deadline behind: the handler may take its
// time, and the connection serves the next request.
func TestSlowHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn, _ := dial(t, newGuard(t, guard.Config{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			select {
			case <-time.After(time.Minute):
				_, _ = w.Write(text)
			case <-r.Context().Done():
				t.Error("the deadline outlived the body", err)
			}
		})))
		answers := bufio.NewReader(conn)
		for range 2 {
			_, err := io.WriteString(conn, half+"def")
			require.NoError(t, err)
			answer, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.Equal(t, "abcdef", string(text))
		}
	})
}

func TestWhole(t *testing.T) {
	t.Parallel()
	h := guard.Whole(3, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	for body, code := range map[string]int{"": 200, "abc": 200, "abcd": 413} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", io.NopCloser(bufio.NewReader(&text{body}))))
		require.Equal(t, code, w.Code, body)
		if code == 200 {
			require.Equal(t, body, w.Body.String())
		}
	}
}

type text struct{ left string }

func (s *text) Read(p []byte) (int, error) {
	if s.left == "" {
		return 0, io.EOF
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

// A form that is never finished does not keep the server from its end.
func TestStop(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	server := httptest.NewServer(newGuard(t, guard.Config{BodyTime: time.Hour}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		_, _ = io.ReadAll(r.Body)
	})))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, half)
	require.NoError(t, err)
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.NoError(t, guard.Stop(ctx, server.Config))
	require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, "it had its time")
	_, err = io.Copy(io.Discard, conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	h := guard.Files(fstest.MapFS{"a/b.css": {Data: []byte("x")}, "c.js": {Data: []byte("y")}, "a/index.html": {Data: []byte("z")}})
	for path, code := range map[string]int{
		"/": 404, "/a": 404, "/a/": 404, "/none": 404, "/../guard.go": 404, "/a/b.css": 200, "/c.js": 200, "/a/../c.js": 200,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, code, w.Code, path)
	}
}

// browser has a session, and an address.
type browser struct {
	sessions *guard.Sessions
	cookies  []*http.Cookie
	address  string
	forward  string
}

func (b *browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://clinic.example/login", nil)
	if b.address != "" {
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(b.address), 4000).String()
	}
	if b.forward != "" {
		r.Header.Set("X-Forwarded-For", b.forward)
	}
	for _, cookie := range b.cookies {
		r.AddCookie(cookie)
	}
	return r
}

func (b *browser) login(subject string) {
	w := httptest.NewRecorder()
	_ = b.sessions.Begin(w, b.request(), subject) // nothing is kept
	b.cookies = w.Result().Cookies()
}

func (b *browser) subject() string {
	subject, _ := b.sessions.Subject(b.request())
	return subject
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended []string
		s := newGuard(t, guard.Config{}).NewSessions(guard.SessionsConfig{
			Cookie: "s", Lifetime: time.Hour, Max: 2, OnEnd: func(subject string) { ended = append(ended, subject) },
		})
		defer s.Close()
		a, b, c := &browser{sessions: s}, &browser{sessions: s}, &browser{sessions: s}
		require.Empty(t, a.subject())
		a.login("a")
		time.Sleep(time.Minute)
		b.login("b")
		require.Equal(t, []string{"a", "b"}, []string{a.subject(), b.subject()})
		old := *a
		time.Sleep(time.Minute)
		a.login("a") // the same browser once more, which takes no further room
		require.Equal(t, []string{"", "a", "b"}, []string{old.subject(), a.subject(), b.subject()}, "a login has a new id")
		time.Sleep(time.Minute)
		c.login("c")
		require.Equal(t, []string{"a", "", "c"}, []string{a.subject(), b.subject(), c.subject()}, "the oldest went")
		require.Equal(t, []string{"b"}, ended)

		require.Equal(t, "c", s.End(httptest.NewRecorder(), c.request()))
		require.Empty(t, c.subject())
		require.Empty(t, s.End(httptest.NewRecorder(), c.request()))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, a.subject(), "used or not, it ends")
		require.Equal(t, []string{"b", "a"}, ended)

		planted := &browser{sessions: s, cookies: []*http.Cookie{{Name: "s", Value: "ATTACKER"}}}
		require.Empty(t, planted.subject())
		planted.login("d")
		require.NotEqual(t, "ATTACKER", planted.cookies[0].Value)
		s.Close()
		require.Empty(t, planted.subject())
	})
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		trusting := newGuard(t, guard.Config{TrustProxy: true}).NewSessions(guard.SessionsConfig{Cookie: "s", Attempts: 3})
		strict := newGuard(t, guard.Config{}).NewSessions(guard.SessionsConfig{Cookie: "s", Attempts: 3})
		use := func(b browser, want int) {
			t.Helper()
			got := 0
			for range 10 {
				if b.sessions.Attempt(b.request()) == nil {
					got++
				}
			}
			require.Equal(t, want, got)
		}
		use(browser{sessions: strict, address: "192.0.2.1"}, 3)
		use(browser{sessions: strict, address: "192.0.2.2"}, 3)
		use(browser{sessions: strict, address: "::ffff:192.0.2.1"}, 0)
		use(browser{sessions: strict, address: "2001:db8::1"}, 3)
		use(browser{sessions: strict, address: "2001:db8::2"}, 0)
		use(browser{sessions: strict, address: "2001:db8:0:1::2"}, 3)
		use(browser{sessions: strict, address: "192.0.2.1", forward: "198.51.100.7"}, 0)
		use(browser{sessions: trusting, address: "192.0.2.1", forward: "203.0.113.9, 198.51.100.7"}, 3)
		use(browser{sessions: trusting, address: "192.0.2.1", forward: "203.0.113.8, 198.51.100.7"}, 0)
		use(browser{sessions: trusting, address: "192.0.2.1", forward: "198.51.100.8"}, 3)
		time.Sleep(time.Minute)
		use(browser{sessions: strict, address: "192.0.2.1"}, 3)
	})
}

// Attempts cost memory for a bounded number of networks.
func TestManyNetworks(t *testing.T) {
	t.Parallel()
	s := newGuard(t, guard.Config{}).NewSessions(guard.SessionsConfig{Cookie: "s"})
	known := browser{sessions: s, address: "192.0.2.1"}
	require.NoError(t, s.Attempt(known.request()))
	refused := 0
	for i := range 10_100 {
		b := browser{sessions: s, address: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()}
		if s.Attempt(b.request()) != nil {
			refused++
		}
	}
	require.Equal(t, 101, refused)
	require.NoError(t, s.Attempt(known.request()))
}

// A session that was kept lasts as long as it would have, and no longer.
func TestSessionsThatAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := guard.New(guard.Config{Hosts: []string{"clinic.example"}})
		require.NoError(t, err)
		kept := map[string]guard.Session{}
		config := guard.SessionsConfig{
			Cookie: "c", Lifetime: time.Hour,
			Keep:   func(s guard.Session) error { kept[s.Key] = s; return nil },
			Forget: func(key string) { delete(kept, key) },
		}
		first, second := g.NewSessions(config), g.NewSessions(config)
		defer second.Close()
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil)
		require.NoError(t, first.Begin(w, r, "rao"))
		r.AddCookie(w.Result().Cookies()[0])
		first.Close() // the process ends
		require.Len(t, kept, 1)
		for key, s := range kept {
			require.NotContains(t, r.Header.Get("Cookie"), key, "who reads the key cannot log in")
			second.Restore(s)
		}
		time.Sleep(59 * time.Minute)
		who, err := second.Subject(r)
		require.NoError(t, err)
		require.Equal(t, "rao", who)
		time.Sleep(2 * time.Minute)
		_, err = second.Subject(r)
		require.ErrorIs(t, err, guard.ErrNoSession)
		require.Empty(t, kept)
	})
}
