// Package faultytest is a store in memory that fails on demand, for tests of what stands
// on it.
package faultytest

import (
	"context"
	"errors"
	"sync"

	"github.com/telemed-go/telemed/store"
)

// ErrDown is a database that is down, in words that no package should have.
var ErrDown = errors.New("database is down")

// Store is a store in memory that fails when it is told to. It is safe for concurrent
// use.
type Store struct {
	*store.Memory
	mu            sync.Mutex
	before, after func(op string) error
	gets          int
	hang          string // this operation does not answer
}

// New returns an empty Store that works.
func New() *Store { return &Store{Memory: store.NewMemory()} }

// Fail asks before and after each "get" and "put" for an error. After a put, the write
// has happened and its answer is lost. nil asks nobody.
func (s *Store) Fail(before, after func(op string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after, s.hang = before, after, ""
}

// Hang keeps this operation from answering until its context ends; "" ends that.
func (s *Store) Hang(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = op
}

// hangs waits until ctx ends if op is to hang.
func (s *Store) hangs(ctx context.Context, op string) error {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != op {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (s *Store) hooks(op string) (func(string) error, func(string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op == "get" {
		s.gets++
	}
	pass := func(string) error { return nil }
	before, after := s.before, s.after
	if before == nil {
		before = pass
	}
	if after == nil {
		after = pass
	}
	return before, after
}

// Get implements store.TokenStore.
func (s *Store) Get(ctx context.Context, id store.AccountID) (store.Record, error) {
	before, after := s.hooks("get")
	if err := s.hangs(ctx, "get"); err != nil {
		return store.Record{}, err
	}
	if err := before("get"); err != nil {
		return store.Record{}, err
	}
	rec, err := s.Memory.Get(ctx, id)
	if err == nil {
		err = after("get")
	}
	return rec, err
}

// Put implements store.TokenStore.
func (s *Store) Put(ctx context.Context, rec store.Record) (string, error) {
	before, after := s.hooks("put")
	if err := s.hangs(ctx, "put"); err != nil {
		return "", err
	}
	if err := before("put"); err != nil {
		return "", err
	}
	revision, err := s.Memory.Put(ctx, rec)
	if err == nil {
		err = after("put")
	}
	if err != nil {
		return "", err
	}
	return revision, nil
}

// Gets returns how many records were asked for.
func (s *Store) Gets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets
}
