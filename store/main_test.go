package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var doctor = store.Key{Provider: "zoom", Subject: "dr-rao"}

// rotating is a provider with Zoom's rules: each refresh token can be spent once. before may
// fail an exchange before it happens, after may lose its answer.
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
		return store.Token{}, fmt.Errorf("provider: %w", store.ErrRejected)
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

// faulty is a store that fails when it is told to.
type faulty struct {
	*store.Memory
	mu            sync.Mutex
	before, after func(op string) error
	gets          int
	hang          string // this operation does not answer
}

func newFaulty() *faulty { return &faulty{Memory: store.NewMemory()} }

func (f *faulty) fail(before, after func(op string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after, f.hang = before, after, ""
}

func (f *faulty) hangUp(op string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hang = op
}

// hangs waits until ctx ends if op is to hang.
func (f *faulty) hangs(ctx context.Context, op string) error {
	f.mu.Lock()
	hang := f.hang
	f.mu.Unlock()
	if hang != op {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (f *faulty) hooks(op string) (func(string) error, func(string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op == "get" {
		f.gets++
	}
	pass := func(string) error { return nil }
	before, after := f.before, f.after
	if before == nil {
		before = pass
	}
	if after == nil {
		after = pass
	}
	return before, after
}

func (f *faulty) Get(ctx context.Context, key store.Key) (store.Record, error) {
	before, after := f.hooks("get")
	if err := f.hangs(ctx, "get"); err != nil {
		return store.Record{}, err
	}
	if err := before("get"); err != nil {
		return store.Record{}, err
	}
	rec, err := f.Memory.Get(ctx, key)
	if err == nil {
		err = after("get")
	}
	return rec, err
}

func (f *faulty) Put(ctx context.Context, rec store.Record) (string, error) {
	before, after := f.hooks("put")
	if err := f.hangs(ctx, "put"); err != nil {
		return "", err
	}
	if err := before("put"); err != nil {
		return "", err
	}
	revision, err := f.Memory.Put(ctx, rec)
	if err == nil {
		err = after("put")
	}
	if err != nil {
		return "", err
	}
	return revision, nil
}

var errDown = errors.New("database is down")

func down(string) error { return errDown }

// clinic is a store, a provider and a connected doctor whose access token has run out.
type clinic struct {
	*testing.T
	store    *faulty
	provider *rotating
}

func newClinic(t *testing.T) *clinic {
	c := &clinic{T: t, store: newFaulty(), provider: newRotating()}
	c.connect(doctor)
	c.expire()
	return c
}

func (c *clinic) connect(key store.Key) {
	c.Helper()
	require.NoError(c, store.Set(c.Context(), c.store.Memory, key, c.provider.connect(key.Subject)))
}

// expire lets an hour go by.
func (c *clinic) expire() { time.Sleep(time.Hour) }

// source returns a Source that is closed when the test ends.
func (c *clinic) source(change ...func(*store.SourceConfig)) *store.Source {
	c.Helper()
	cfg := store.SourceConfig{Store: c.store, Provider: "zoom", Refresh: c.provider.refresh}
	for _, f := range change {
		f(&cfg)
	}
	s, err := store.NewSource(cfg)
	require.NoError(c, err)
	c.Cleanup(func() { require.NoError(c, s.Close(context.Background())) })
	return s
}

func (c *clinic) record() store.Record {
	c.Helper()
	rec, err := c.store.Memory.Get(context.Background(), doctor)
	require.NoError(c, err)
	return rec
}

// works fails unless the doctor can be refreshed again in an hour.
func (c *clinic) works(s *store.Source) {
	c.Helper()
	c.expire()
	_, err := s.Token(c.Context(), doctor)
	require.NoError(c, err)
	require.Equal(c, store.StatusActive, c.record().Status)
	require.Zero(c, c.provider.twice, "a spent token was presented")
}

func goexit() { runtime.Goexit() }
