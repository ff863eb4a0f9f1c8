package googlemeet_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	doctor   = "dr-rao"
	callback = "http://127.0.0.1:3001/oauth/google/callback"
)

// clinic is a client with a doctor connected to a fake Google.
type clinic struct {
	*googlemeet.Client
	fake   *googlemeettest.Server
	tokens store.TokenStore
}

func config(t *testing.T, fake *googlemeettest.Server, tokens store.TokenStore) googlemeet.Config {
	return googlemeet.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: callback,
		Tokens: tokens, Endpoints: fake.Endpoints(), HTTPClient: newHTTPClient(t), RetryWait: time.Millisecond,
	}
}

func newClient(t *testing.T, cfg googlemeet.Config) *googlemeet.Client {
	t.Helper()
	client, err := googlemeet.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	return client
}

// open returns a clinic whose doctor is connected. adjust changes the configuration
// first.
func open(t *testing.T, adjust ...func(*googlemeet.Config)) *clinic {
	t.Helper()
	return openAt(t, googlemeettest.NewServer(t), adjust...)
}

// openInMemory is open for a synctest bubble.
func openInMemory(t *testing.T) *clinic {
	t.Helper()
	fake := googlemeettest.NewServer(t, googlemeettest.Config{InMemory: true})
	return openAt(t, fake, func(c *googlemeet.Config) { c.HTTPClient = fake.Client() })
}

func openAt(t *testing.T, fake *googlemeettest.Server, adjust ...func(*googlemeet.Config)) *clinic {
	t.Helper()
	tokens := store.NewMemory()
	cfg := config(t, fake, tokens)
	for _, f := range adjust {
		f(&cfg)
	}
	c := &clinic{newClient(t, cfg), fake, tokens}
	c.connect(t, doctor, googlemeettest.Consent{})
	return c
}

// tokensAlone hides that a store implements store.Claims too.
type tokensAlone struct{ store.TokenStore }

// forgetful is a client whose Claims are its own memory.
func (c *clinic) forgetful(t *testing.T) *googlemeet.Client {
	t.Helper()
	return newClient(t, config(t, c.fake, tokensAlone{c.tokens}))
}

// consent walks the consent page and returns the token.
func (c *clinic) consent(t *testing.T, consent googlemeettest.Consent) (store.Token, error) {
	t.Helper()
	oauth, verifier := c.OAuth(), oauth2.GenerateVerifier()
	back, err := c.fake.Answer(oauth.AuthCodeURL("state-1", verifier), consent)
	require.NoError(t, err)
	u, err := url.Parse(back)
	require.NoError(t, err)
	require.Equal(t, "state-1", u.Query().Get("state"))
	require.Equal(t, oauth.Issuer, u.Query().Get("iss"))
	return oauth.Exchange(t.Context(), u.Query().Get("code"), verifier)
}

func (c *clinic) connect(t *testing.T, doctorID string, consent googlemeettest.Consent) {
	t.Helper()
	token, err := c.consent(t, consent)
	require.NoError(t, err)
	require.NoError(t, store.Set(t.Context(), c.tokens, key(doctorID), token))
}

func key(doctorID string) store.AccountID {
	return store.AccountID{Provider: googlemeet.ProviderName, Subject: doctorID}
}

// kolkata is a zone with a half-hour offset.
func kolkata(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Kolkata")
	require.NoError(t, err)
	return zone
}

func request(t *testing.T, key string) meet.Request {
	t.Helper()
	start := time.Now().Add(48 * time.Hour).In(kolkata(t)).Truncate(time.Hour)
	return meet.Request{Key: key, Start: start, Duration: 30 * time.Minute}
}

func (c *clinic) create(t *testing.T, req meet.Request) *meet.Meeting {
	t.Helper()
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	return m
}

// failure returns the *Error behind err.
func failure(t *testing.T, err error) *googlemeet.Error {
	t.Helper()
	require.Error(t, err)
	e, ok := err.(*googlemeet.Error)
	require.True(t, ok, "%T: %v", err, err)
	return e
}

func (c *clinic) harness(t *testing.T) meettest.Harness {
	t.Helper()
	losses := map[string]func(){}
	for _, op := range []string{googlemeettest.OpInsert, googlemeettest.OpGet, googlemeettest.OpPatch, googlemeettest.OpDelete, googlemeettest.OpToken} {
		for kind, fault := range map[string]googlemeettest.Fault{
			"answer": {LoseAnswer: true}, "request": {LoseRequest: true}, "half of the answer": {Cut: true},
			"answer, replaced by a 502":  {LoseAnswer: true, Status: 502, Body: "<html>"},
			"request, refused by a 404":  {Status: 404, Body: "<html>"},
			"every answer for some time": {LoseAnswer: true, Times: 5},
		} {
			fault.Op = op
			losses[kind+" of "+op] = func() { c.fake.FailNext(fault) }
		}
	}
	return meettest.Harness{
		Provider: c.Client, Second: newClient(t, config(t, c.fake, c.tokens)), DoctorID: doctor, Stranger: "dr-who",
		Losses: losses, Live: c.live, Reconnect: func(t *testing.T) { t.Helper(); c.connect(t, doctor, private) },
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(t *testing.T) meettest.Harness { return open(t).harness(t) })
}

// TestContractOfOneProcess is for a client whose Claims are its own memory.
func TestContractOfOneProcess(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(t *testing.T) meettest.Harness {
		c := open(t)
		h := c.harness(t)
		h.Provider, h.Second = c.forgetful(t), nil
		return h
	})
}
