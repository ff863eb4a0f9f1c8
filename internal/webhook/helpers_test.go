package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/internal/webhook"
	"github.com/telemed-go/telemed/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	timeout = 15 * time.Second
	secret  = "secret-1"
)

// application is an application with a Door. Its provider sends {"ids": […]}, an event
// for each, in headers the id that is not signed and the time that is.
type application struct {
	*webhook.Door
	log    *logs
	handle func(ctx context.Context, id string) error

	mu      sync.Mutex
	handled map[string]int // how often it was called with an id
}

// logs is a buffer that several goroutines write to.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newApplication(handle func(ctx context.Context, id string) error, change ...func(*webhook.Config)) *application {
	a := &application{log: &logs{}, handle: handle, handled: map[string]int{}}
	cfg := webhook.Config{
		Provider: "test", MaxBody: 1 << 10, Timeout: timeout, Keep: time.Hour, Open: a.open,
		Logger: slog.New(slog.NewTextHandler(a.log, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	a.Door = webhook.New(cfg)
	return a
}

func (a *application) open(_ context.Context, header http.Header, body []byte) (webhook.Delivery, error) {
	check := signature.Check{
		Header: header, Name: "Signature", Body: body, Secrets: []telemed.Secret{telemed.NewSecret("older"), telemed.NewSecret(secret)},
	}
	if _, err := check.Verify(); err != nil {
		return webhook.Delivery{}, err
	}
	var read struct {
		IDs    []string `json:"ids"`
		Answer json.RawMessage
		Wrong  bool
	}
	if json.Unmarshal(body, &read) != nil {
		return webhook.Delivery{Events: []webhook.Event{webhook.Unread(body, nil, nil)}}, nil
	}
	if read.Wrong {
		return webhook.Delivery{}, telemed.ErrInvalid
	}
	signed, _ := time.Parse(time.RFC3339, header.Get("Time"))
	delivery := webhook.Delivery{Answer: read.Answer, SignedAt: signed}
	for _, id := range read.IDs {
		keys := []string{"id:" + id}
		if unsigned := header.Get("Event-Id"); unsigned != "" {
			keys = []string{"unsigned:" + unsigned, "id:" + id}
		}
		delivery.Events = append(delivery.Events, webhook.Event{
			Keys: keys, Attrs: []slog.Attr{slog.String("id", id)},
			Handle: func(ctx context.Context) error {
				a.mu.Lock()
				a.handled[id]++
				a.mu.Unlock()
				return a.handle(ctx, id)
			},
		})
	}
	return delivery, nil
}

func (a *application) count(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.handled[id]
}

// deliver sends a signed body; header is pairs of names and values.
func (a *application) deliver(body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Signature", sign(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func (a *application) answer(body string, header ...string) (int, string) {
	w := a.deliver(body, header...)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func sign(body string) string { return signature.Hex([]byte(secret), []byte(body)) }

func event(ids ...string) string {
	body, _ := json.Marshal(map[string]any{"ids": ids})
	return string(body)
}

func nothing(context.Context, string) error { return nil }

// claims fails where a test says so.
type claims struct {
	*store.Memory
	mu                       sync.Mutex
	claim, complete, release func(key string) error
	keys                     []string // in the order in which they were claimed
}

func newClaims() *claims { return &claims{Memory: store.NewMemory()} }

func (c *claims) fail(f *func(string) error, key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *f == nil {
		return nil
	}
	return (*f)(key)
}

func (c *claims) set(f *func(string) error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*f = func(string) error { return err }
}

func (c *claims) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	if err := c.fail(&c.claim, key); err != nil {
		return store.Claim{}, err
	}
	c.mu.Lock()
	c.keys = append(c.keys, key)
	c.mu.Unlock()
	return c.Memory.Claim(ctx, key, lease)
}

func (c *claims) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if err := c.fail(&c.complete, key); err != nil {
		return err
	}
	return c.Memory.Complete(ctx, key, token, value, keep)
}

func (c *claims) Release(ctx context.Context, key, token string) error {
	if err := c.fail(&c.release, key); err != nil {
		return err
	}
	return c.Memory.Release(ctx, key, token)
}

func shared(c store.Claims) func(*webhook.Config) {
	return func(cfg *webhook.Config) { cfg.Claims = c }
}

// serve runs server in memory until the test ends, and dials it.
func serve(t *testing.T, server *http.Server) net.Conn {
	t.Helper()
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	conn, err := l.Dial(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return conn
}
