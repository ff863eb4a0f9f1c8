package oauth

import (
	"context"
	"errors"
	"fmt"
)

// Recover takes over the tokens that earlier processes left in the Spool: callers get
// them at once, and they are saved in the background as soon as the store takes them. It
// returns how many there are. Call it when the process starts, before anybody asks for a
// token. Without a Spool it does nothing.
func (s *Source) Recover(ctx context.Context) (int, error) {
	if s.cfg.Spool == nil {
		return 0, nil
	}
	recovered := 0
	for u, err := range s.cfg.Spool.List(ctx) {
		if err != nil {
			return recovered, fmt.Errorf("oauth: Recover: %w", err)
		}
		if u.ID.Provider != s.cfg.Provider {
			continue
		}
		if err := s.adopt(u); err != nil {
			return recovered, err
		}
		recovered++
	}
	return recovered, nil
}

// Recover calls Source.Recover of all sources, and returns what went wrong with any.
func Recover(ctx context.Context, sources ...*Source) error {
	var errs []error
	for _, s := range sources {
		_, err := s.Recover(ctx)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// adopt goes on where the process that spooled u had to stop. Of two tokens of one
// account callers join the one that lasts longer: nobody may refresh before that is
// saved.
func (s *Source) adopt(u Unsaved) error {
	if err := s.checkID(u.ID); err != nil {
		return err
	}
	remember := func() (newest, known bool) { return s.memory.addUnsaved(u.ID, u.Token) }
	return s.pending.add(u.ID, remember, func(r *result) { newRecovery(s.shared, u, r).run() })
}
