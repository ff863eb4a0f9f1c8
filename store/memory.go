package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
)

var _ Claims = (*Memory)(nil)

// Memory is a TokenStore and Claims in the memory of one process, for tests and examples:
// what it holds is gone when the process ends, and every doctor must connect again. It
// implements Lister and is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	records map[AccountID]Record
	claims  memoryClaims
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{records: map[AccountID]Record{}, claims: newMemoryClaims()}
}

// Get implements TokenStore.
func (m *Memory) Get(ctx context.Context, id AccountID) (Record, error) {
	if err := check(ctx, id); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, ok := m.records[id]
	if !ok {
		return Record{}, telemed.ErrNotFound
	}
	rec.Token = rec.Token.Clone()
	return rec, nil
}

// Put implements TokenStore.
func (m *Memory) Put(ctx context.Context, rec Record) (string, error) {
	if err := check(ctx, rec.ID); err != nil {
		return "", err
	}
	if err := CheckRecord(rec); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[rec.ID].Revision != rec.Revision {
		return "", telemed.ErrConflict
	}
	rec.Token = rec.Token.Clone()
	rec.Revision = rand.Text()
	m.records[rec.ID] = rec
	return rec.Revision, nil
}

// Delete implements TokenStore.
func (m *Memory) Delete(ctx context.Context, id AccountID) error {
	if err := check(ctx, id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, id)
	return nil
}

// List implements Lister over the records of the moment of the call.
func (m *Memory) List(ctx context.Context, filter Filter) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, rec := range m.snapshot(filter) {
			if err := ctx.Err(); err != nil {
				yield(Record{}, err)
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func (m *Memory) snapshot(filter Filter) []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Record
	for _, rec := range m.records {
		if filter.Match(rec) {
			rec.Token = rec.Token.Clone()
			found = append(found, rec)
		}
	}
	return found
}

// Claim implements Claims for one process. A Memory holds 100,000 keys: when it is full
// it forgets the oldest that is Done. If all are Busy, the error matches
// telemed.ErrUnavailable.
func (m *Memory) Claim(ctx context.Context, key string, lease time.Duration) (Claim, error) {
	if err := CheckClaim(key, lease); err != nil {
		return Claim{}, err
	}
	if err := ctx.Err(); err != nil {
		return Claim{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	held := m.claims.get(key)
	if held != nil && now.Before(held.until) {
		if held.done {
			return Claim{State: ClaimDone, Token: held.token, Value: bytes.Clone(held.value)}, nil
		}
		return Claim{State: ClaimBusy}, nil
	}
	if held == nil && !m.claims.makeRoom(now) {
		return Claim{}, fmt.Errorf("store: Memory is full of claims that are busy: %w", telemed.ErrUnavailable)
	}
	token := rand.Text()
	m.claims.put(&memoryClaim{key: key, token: token, until: now.Add(lease)})
	return Claim{State: ClaimNew, Token: token, Expired: held != nil && !held.done}, nil
}

// Complete implements Claims.
func (m *Memory) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if err := CheckComplete(key, token, value, keep); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.claims.get(key)
	if held == nil || held.token != token {
		return fmt.Errorf("store: the claim is not under this token: %w", telemed.ErrConflict)
	}
	m.claims.put(&memoryClaim{key: key, token: token, done: true, value: bytes.Clone(value), until: time.Now().Add(keep)})
	return nil
}

// Release implements Claims.
func (m *Memory) Release(ctx context.Context, key, token string) error {
	if err := CheckRelease(key, token); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if held := m.claims.get(key); held != nil && held.token == token && !held.done {
		m.claims.drop(m.claims.byKey[key])
	}
	return nil
}

func check(ctx context.Context, id AccountID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return id.Validate()
}
