package visittest

import (
	"context"
	"iter"
	"time"

	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// rows is what Explore needs of a Store: all that the SDK's own have.
type rows interface {
	durable.Store
	durable.Leaser
	durable.LeaseLister
	durable.Lister
}

// Store returns the rows as the process sees them. st is a durable.Leaser, LeaseLister and
// Lister too, as those of this SDK are, and the same rows for each process of a World.
func (p *Process) Store(st durable.Store) durable.Store {
	all, ok := st.(rows)
	if !ok {
		p.s.problem("the Store is no durable.Leaser, durable.LeaseLister and durable.Lister")
		return st
	}
	if p.s.rows == nil { // the observer is first
		p.s.rows = all
	}
	return mortalRows{p, all}
}

type mortalRows struct {
	p  *Process
	st rows
}

func (m mortalRows) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	return around(m.p, "Get "+id.Kind, func() (durable.Item, error) { return m.st.Get(ctx, id) })
}

func (m mortalRows) Put(ctx context.Context, item durable.Item) (string, error) {
	return around(m.p, "Put "+item.ID.Kind, func() (string, error) {
		if err := m.p.s.page.wait(ctx); err != nil {
			return "", err
		}
		revision, err := m.st.Put(ctx, item)
		if err == nil {
			m.p.s.written(item.ID)
		}
		return revision, err
	})
}

func (m mortalRows) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	if m.p.isDead() {
		return nil, errDead
	}
	return m.st.Due(ctx, q)
}

// Lease has points if it finds something: Runners look again and again.
func (m mortalRows) Lease(ctx context.Context, q durable.Query, after string, lease durable.Lease) (items []durable.Item, next string, err error) {
	if err := m.p.stands(); err != nil {
		return nil, after, err
	}
	items, next, err = m.st.Lease(ctx, q, after, lease)
	if len(items) > 0 {
		if err := m.p.Point("after Lease " + items[0].ID.Kind); err != nil {
			return nil, after, err
		}
	}
	return items, next, err
}

func (m mortalRows) Leases(ctx context.Context, kinds map[string]int) ([]durable.Held, error) {
	if err := m.p.stands(); err != nil {
		return nil, err
	}
	return m.st.Leases(ctx, kinds)
}

func (m mortalRows) List(ctx context.Context, filter durable.Filter) iter.Seq2[durable.Item, error] {
	return m.st.List(ctx, filter)
}

// stands waits until a process that stands still goes on, and reports whether it lives.
func (p *Process) stands() error {
	p.mu.Lock()
	frozen := time.Until(p.thaws)
	p.mu.Unlock()
	time.Sleep(frozen)
	if p.isDead() {
		return errDead
	}
	return nil
}

// written looks at a visit that was written, so that it is known what was wanted when.
func (s *schedule) written(id durable.ID) {
	if id.Kind != visit.RowKind || s.observer == nil {
		return
	}
	v, err := s.observer.visits.Get(context.Background(), id.Name)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.wanted[id.Name]
	if len(told) == 0 || told[len(told)-1].Generation != v.Generation || told[len(told)-1].Status != v.Status {
		s.wanted[id.Name] = append(told, wanted{time.Now(), v})
	}
}

// Tokens returns the tokens as the process sees them.
func (p *Process) Tokens(tokens store.TokenStore) store.TokenStore { return mortalTokens{p, tokens} }

type mortalTokens struct {
	p      *Process
	tokens store.TokenStore
}

func (m mortalTokens) Get(ctx context.Context, id store.AccountID) (store.Record, error) {
	return around(m.p, "Get token", func() (store.Record, error) { return m.tokens.Get(ctx, id) })
}

func (m mortalTokens) Put(ctx context.Context, rec store.Record) (string, error) {
	return around(m.p, "Put token", func() (string, error) { return m.tokens.Put(ctx, rec) })
}

func (m mortalTokens) Delete(ctx context.Context, id store.AccountID) error {
	return around0(m.p, "Delete token", func() error { return m.tokens.Delete(ctx, id) })
}

// Claims returns the claims as the process sees them.
func (p *Process) Claims(claims store.Claims) store.Claims { return mortalClaims{p, claims} }

type mortalClaims struct {
	p      *Process
	claims store.Claims
}

func (m mortalClaims) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	return around(m.p, "Claim", func() (store.Claim, error) { return m.claims.Claim(ctx, key, lease) })
}

func (m mortalClaims) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	return around0(m.p, "Complete", func() error { return m.claims.Complete(ctx, key, token, value, keep) })
}

func (m mortalClaims) Release(ctx context.Context, key, token string) error {
	return around0(m.p, "Release", func() error { return m.claims.Release(ctx, key, token) })
}
