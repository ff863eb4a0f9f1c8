package store

import (
	"context"
	"crypto/rand"
	"iter"
	"sync"

	"github.com/telemed-go/telemed"
)

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

func check(ctx context.Context, id AccountID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return id.Validate()
}
