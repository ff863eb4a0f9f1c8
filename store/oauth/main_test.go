package oauth_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/faultytest"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var doctor = store.AccountID{Provider: "zoom", Subject: "dr-rao"}

// rotating is a provider with Zoom's rules: each refresh token can be spent once. before
// may fail an exchange before it happens, after may lose its answer.
type rotating struct {
	mu            sync.Mutex
	live          map[string]string // refresh token → account
	generation    map[string]int
	calls, twice  int
	takes         time.Duration
	before, after func(call int) error
	keepRefresh   bool // Google's rules
}

func newRotating() *rotating {
	return &rotating{live: map[string]string{}, generation: map[string]int{}, takes: 100 * time.Millisecond}
}

// connect is a new consent: the account's earlier refresh tokens are dead.
func (p *rotating) connect(account string) store.Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	for refresh, owner := range p.live {
		if owner == account {
			delete(p.live, refresh)
		}
	}
	return p.mint(account)
}

func (p *rotating) mint(account string) store.Token {
	p.generation[account]++
	name := fmt.Sprintf("%s-%d", account, p.generation[account])
	p.live["refresh-"+name] = account
	return store.Token{
		Access: telemed.NewSecret("access-" + name), Refresh: telemed.NewSecret("refresh-" + name),
		Expiry: time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond), Scopes: []string{"meeting"},
	}
}

func (p *rotating) refresh(ctx context.Context, old store.Token) (store.Token, error) {
	p.mu.Lock()
	p.calls++
	call, takes := p.calls, p.takes
	before, after := p.before, p.after
	p.mu.Unlock()
	if before != nil {
		if err := before(call); err != nil {
			return store.Token{}, err
		}
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return store.Token{}, context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	account, ok := p.live[old.Refresh.Reveal()]
	if !ok {
		p.twice++
		return store.Token{}, fmt.Errorf("provider: %w", oauth.ErrRejected)
	}
	if !p.keepRefresh {
		delete(p.live, old.Refresh.Reveal())
	}
	token := p.mint(account)
	if p.keepRefresh {
		delete(p.live, token.Refresh.Reveal())
		token.Refresh = telemed.Secret{}
	}
	if after != nil {
		if err := after(call); err != nil {
			return store.Token{}, err
		}
	}
	return token, nil
}

func (p *rotating) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

var errDown = faultytest.ErrDown

func down(string) error { return errDown }

// clinic is a store, a provider and a connected doctor whose access token has run out.
type clinic struct {
	*testing.T
	store    *faultytest.Store
	provider *rotating
}

func newClinic(t *testing.T) *clinic {
	c := &clinic{T: t, store: faultytest.New(), provider: newRotating()}
	c.connect(doctor)
	c.expire()
	return c
}

func (c *clinic) connect(id store.AccountID) {
	c.Helper()
	require.NoError(c, store.Set(c.Context(), c.store.Memory, id, c.provider.connect(id.Subject)))
}

// expire lets an hour go by.
func (c *clinic) expire() { time.Sleep(time.Hour) }

// source returns a Source that is closed when the test ends.
func (c *clinic) source(change ...func(*oauth.SourceConfig)) *oauth.Source {
	c.Helper()
	cfg := oauth.SourceConfig{Store: c.store, Provider: "zoom", Refresh: c.provider.refresh}
	for _, f := range change {
		f(&cfg)
	}
	s, err := oauth.NewSource(cfg)
	require.NoError(c, err)
	c.Cleanup(func() { require.NoError(c, s.Shutdown(context.Background())) })
	return s
}

func (c *clinic) record() store.Record {
	c.Helper()
	rec, err := c.store.Memory.Get(context.Background(), doctor)
	require.NoError(c, err)
	return rec
}

// works fails unless the doctor can be refreshed again in an hour.
func (c *clinic) works(s *oauth.Source) {
	c.Helper()
	c.expire()
	_, err := s.Token(c.Context(), doctor)
	require.NoError(c, err)
	require.Equal(c, store.StatusActive, c.record().Status)
	require.Zero(c, c.provider.twice, "a spent token was presented")
}

func goexit() { runtime.Goexit() }
