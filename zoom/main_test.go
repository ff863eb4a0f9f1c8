package zoom_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const doctor = "dr-rao"

// clinic is a client, connected for one doctor, and the Zoom that it talks to.
type clinic struct {
	*zoom.Client
	fake   *zoomtest.Server
	tokens *store.Memory
	key    store.AccountID
}

func newClinic(t *testing.T, fakeConfig zoomtest.Config, change ...func(*zoom.Config)) *clinic {
	t.Helper()
	c := &clinic{
		fake: zoomtest.NewServer(t, fakeConfig), tokens: store.NewMemory(),
		key: store.AccountID{Provider: zoom.ProviderName, Subject: doctor},
	}
	c.Client = c.another(t, change...)
	c.connect(t)
	return c
}

// another returns a client as another process has it: with the same app and the same
// store.
func (c *clinic) another(t *testing.T, change ...func(*zoom.Config)) *zoom.Client {
	t.Helper()
	cfg := zoom.Config{
		ClientID: c.fake.ClientID(), ClientSecret: c.fake.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/callback",
		Tokens: c.tokens, Endpoints: c.fake.Endpoints(), LookAfter: time.Millisecond, HTTPClient: c.fake.Client(),
	}
	for _, f := range change {
		f(&cfg)
	}
	client, err := zoom.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Shutdown(context.WithoutCancel(t.Context()))) })
	return client
}

// connect does what store/connect does, as the first user of the fake.
func (c *clinic) connect(t *testing.T) {
	t.Helper()
	c.connectAs(t, zoomtest.DefaultUser().ID)
}

func (c *clinic) connectAs(t *testing.T, userID string) {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	callback, err := c.fake.AuthorizeAs(c.OAuth().AuthCodeURL("state-1", verifier), userID)
	require.NoError(t, err)
	u, err := url.Parse(callback)
	require.NoError(t, err)
	require.Equal(t, "state-1", u.Query().Get("state"))
	token, err := c.OAuth().Exchange(t.Context(), u.Query().Get("code"), verifier)
	require.NoError(t, err)
	require.NoError(t, store.Set(t.Context(), c.tokens, c.key, token))
}

// tokensAlone hides that a store implements store.Claims too.
type tokensAlone struct{ store.TokenStore }

// forgetful is a client whose Claims are its own memory.
func (c *clinic) forgetful(t *testing.T) *zoom.Client {
	t.Helper()
	return c.another(t, func(cfg *zoom.Config) { cfg.Tokens = tokensAlone{c.tokens} })
}

func (c *clinic) token(t *testing.T) store.Token {
	t.Helper()
	rec, err := c.tokens.Get(t.Context(), c.key)
	require.NoError(t, err)
	return rec.Token
}

// live are the meetings that were not deleted.
func (c *clinic) live() []zoomtest.Meeting {
	var live []zoomtest.Meeting
	for _, m := range c.fake.Meetings() {
		if !m.Deleted {
			live = append(live, m)
		}
	}
	return live
}

func kolkata(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Kolkata")
	require.NoError(t, err)
	return zone
}

func visit(t *testing.T, key string) meet.Request {
	t.Helper()
	start := time.Now().Add(48 * time.Hour).In(kolkata(t)).Truncate(time.Minute)
	return meet.Request{Key: key, Start: start, Duration: 30 * time.Minute}
}

// zoomError returns the typed error.
func zoomError(t *testing.T, err error) *zoom.Error {
	t.Helper()
	var failed *zoom.Error
	require.ErrorAs(t, err, &failed)
	return failed
}

// answered is the fault of another answer than Zoom's own, with headers as "Name",
// "value" pairs.
func answered(op string, status int, body string, header ...string) zoomtest.Fault {
	f := zoomtest.Fault{Op: op, Status: status, Body: body, Header: http.Header{}}
	for i := 0; i < len(header); i += 2 {
		f.Header.Set(header[i], header[i+1])
	}
	return f
}

// handleInto keeps the last event.
func handleInto(got *zoom.Event) func(context.Context, zoom.Event) error {
	return func(_ context.Context, e zoom.Event) error { *got = e; return nil }
}
