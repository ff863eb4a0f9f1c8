package googlemeettest

import (
	"cmp"

	"github.com/telemed-go/telemed/store"
)

// Restore makes token, which an earlier Server issued, one of this Server's: it is how a
// program whose store outlives it is tried without Google. The token is the account's
// with the address token.Account.Email, or the one that is signed in.
func (s *Server) Restore(token store.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	email := cmp.Or(token.Account.Email, s.cfg.Email)
	g := s.oauth.grants[email]
	if g == nil || g.revoked {
		g = &grant{email: email}
		s.oauth.grants[email] = g
	}
	g.scopes = token.Scopes
	if access := token.Access.Reveal(); access != "" {
		s.oauth.access[access] = &accessToken{grant: g, scopes: token.Scopes, expires: token.Expiry}
	}
	if refresh := token.Refresh.Reveal(); refresh != "" {
		s.oauth.refresh[refresh] = g
	}
}
