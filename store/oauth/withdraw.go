package oauth

import (
	"context"
	"log/slog"

	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// Withdraw ends the grant of token, whose record id was deleted from st. The grant stays
// if another doctor shares the account, since providers withdraw it for all, if the
// doctor has reconnected meanwhile, and if that cannot be known because st is no
// store.Lister or the account has no id. Then revoked is false, as it is if p has no
// Revoke. A reconnection in the moment between the look and the revocation is not seen.
//
// Errors are those of Revoke. It is bounded by ctx alone.
func (p Provider) Withdraw(ctx context.Context, st store.TokenStore, id store.AccountID, token store.Token) (revoked bool, err error) {
	if p.Revoke == nil || inUse(ctx, st, id, token.Account.ID) {
		return false, nil
	}
	if err := p.Revoke(ctx, token); err != nil {
		return false, err
	}
	return true, nil
}

// inUse reports whether the account is in the store, or may be.
func inUse(ctx context.Context, st store.TokenStore, id store.AccountID, account string) bool {
	lister, ok := st.(store.Lister)
	if !ok || account == "" {
		return true
	}
	for other, err := range lister.List(ctx, store.Filter{Provider: id.Provider}) {
		if err != nil || other.ID == id || other.Token.Account.ID == account || other.Token.Account.ID == "" {
			return true
		}
	}
	return false
}

// withdraw ends the grant of a token that nobody wants any more: the account was deleted
// while it was bought, and this is the last copy. If that fails, the spool keeps it, so
// that Recover comes here again.
func (s *saving) withdraw() {
	revoke := s.shared.cfg.Revoke
	if revoke == nil {
		s.settle()
		return
	}
	s.shared.memory.clearUnsaved(s.ID, s.Token)
	ctx, cancel := wait.Timeout(s.shared.run, s.shared.cfg.Timeout)
	defer cancel()
	err := guarded(s.shared.cfg.Logger, "Revoke", func() error { return revoke(ctx, s.ID, s.Token.Clone()) })
	if err != nil {
		s.spool()
		s.shared.cfg.Logger.Error("oauth: account was deleted during its refresh, and its grant lives",
			slog.Any("account", s.ID), slog.Bool("spooled", s.spooled), slog.Any("error", err))
		return
	}
	s.shared.cfg.Logger.Info("oauth: account was deleted during its refresh", slog.Any("account", s.ID))
	s.settle()
}
