package heldtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// longest is how long a body that never comes may hold a connection, with the moment that
// net/http gives its last answer.
const longest = 11 * time.Second

// halves are bodies that begin, each with its headers.
var halves = map[string]string{
	"nothing of it":    "Content-Length: 1000\r\n\r\n",
	"a length, a half": "Content-Length: 1000\r\n\r\n{\"a\":",
	"chunks":           "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
	"a chunk's half":   "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a",
	"half a form":      "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\na=",
	"more than is ok":  "Content-Length: 90000000\r\n\r\n" + strings.Repeat("a", 70<<10),
}

// timeouts are those of an application's server.
type timeouts struct{ read, write, idle time.Duration }

var servers = map[string]timeouts{
	"no timeouts":        {},
	"patient timeouts":   {time.Hour, time.Hour, time.Hour},
	"impatient timeouts": {2 * time.Second, 3 * time.Second, 0},
}

func TestNoBodyHoldsADoor(t *testing.T) {
	t.Parallel()
	for name := range handlers(t) {
		for server := range servers {
			for half := range halves {
				for _, drips := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						d := handlers(t)[name]
						took := hold(t, d, servers[server], halves[half], drips)
						if took > longest {
							t.Errorf("%s, a server with %s: %s (drips: %t) holds it for %s", name, server, half, drips, took)
						}
					})
				}
			}
		}
	}
}

// The same question finds handlers that forgot to bound a body.
func TestPlantedDoorsAreHeld(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]door{
		"reads nothing": {"POST", "/", func(http.ResponseWriter, *http.Request) {}},
		"reads all":     {"POST", "/", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }},
		"refuses":       {"POST", "/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }},
		"answers a GET": {"GET", "/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }},
		"lifts it too early": {"POST", "/", func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		}},
	} {
		for _, server := range []string{"no timeouts", "patient timeouts"} {
			synctest.Test(t, func(t *testing.T) {
				require.Greater(t, hold(t, d, servers[server], halves["a length, a half"], false), longest, "%s, %s", name, server)
			})
		}
	}
}

// hold returns how long a connection stays open after a request with half a body. If it
// drips, a byte more comes each three seconds.
func hold(t *testing.T, d door, settings timeouts, half string, drips bool) time.Duration {
	t.Helper()
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	server := &http.Server{
		Handler: d.serve, ReadTimeout: settings.read, WriteTimeout: settings.write, IdleTimeout: settings.idle,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	conn, err := l.Dial(t.Context(), "", "")
	require.NoError(t, err)
	var writing sync.WaitGroup
	began := time.Now()
	writing.Go(func() { send(conn, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\n%s", d.method, d.path, half), drips) })
	require.NoError(t, conn.SetReadDeadline(began.Add(10*time.Minute)))
	_, err = io.Copy(io.Discard, conn)
	took := time.Since(began)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		took = 10 * time.Minute
	}
	_ = conn.Close()
	writing.Wait()
	require.NoError(t, server.Close())
	require.ErrorIs(t, <-ended, http.ErrServerClosed)
	return took
}

func send(conn net.Conn, text string, drips bool) {
	_, err := io.WriteString(conn, text)
	for i := 0; drips && err == nil && i < 300; i++ {
		time.Sleep(3 * time.Second) // of the bubble's clock
		_, err = io.WriteString(conn, "1")
	}
}

// What runs inside a handler of the application leaves its request's body alone.
func TestNoBodyIsTouched(t *testing.T) {
	t.Parallel()
	for name, call := range insideOthers(t) {
		r := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("the body was read")))
		r.Body = untouched{t, name}
		call(httptest.NewRecorder(), r)
	}
}

type untouched struct {
	t    *testing.T
	name string
}

func (u untouched) Read([]byte) (int, error) {
	u.t.Errorf("%s reads the body", u.name)
	return 0, io.EOF
}

func (untouched) Close() error { return nil }
