package oauth

import (
	"context"
	"fmt"
	"time"

	"github.com/telemed-go/telemed/store"
)

// shared is what a Source and its attempts have in common. It is safe for concurrent use.
type shared struct {
	cfg     SourceConfig
	memory  *memory
	breaker *breaker
	pending *pending
	// credentials are the application's own.
	credentials credentials
	// run ends when Shutdown gives up waiting. Every attempt works under it: an attempt
	// outlives the call that began it.
	run context.Context
}

// paused returns why rec is not to be refreshed now, or nil.
func (s *shared) paused(rec store.Record) error {
	if err := s.memory.paused(rec); err != nil {
		return err
	}
	if err := s.credentials.paused(time.Now()); err != nil {
		return fmt.Errorf("oauth: %s: %w", rec.ID, err)
	}
	return nil
}

// get reads a record, and remembers its token.
func (s *shared) get(id store.AccountID, timeout time.Duration) (rec store.Record, err error) {
	ctx, cancel := context.WithTimeout(s.run, timeout)
	defer cancel()
	err = guarded(s.cfg.Logger, "Store.Get", func() (err error) {
		rec, err = store.GetOpen(ctx, s.cfg.Store, id)
		return err
	})
	if err == nil {
		s.memory.remember(rec)
	}
	return rec, err
}

// put writes rec, remembers its token, and returns it with its new revision.
func (s *shared) put(rec store.Record, timeout time.Duration) (store.Record, error) {
	ctx, cancel := context.WithTimeout(s.run, timeout)
	defer cancel()
	err := guarded(s.cfg.Logger, "Store.Put", func() error {
		revision, err := s.cfg.Store.Put(ctx, rec)
		if err == nil {
			rec.Revision = revision
		}
		return err
	})
	if err == nil {
		s.memory.remember(rec)
	}
	return rec, err
}
