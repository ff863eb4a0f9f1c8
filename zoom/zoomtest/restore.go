package zoomtest

import "github.com/telemed-go/telemed/store"

// Restore makes token, which an earlier Server issued, one of this Server's: it is how a
// program whose store outlives it is tried without Zoom. The token is the user's whose id
// is token.Account.ID, or the first one's. Its refresh token counts as not spent.
func (s *Server) Restore(token store.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.cfg.Users[0]
	for _, candidate := range s.cfg.Users {
		if candidate.ID == token.Account.ID {
			user = candidate
		}
	}
	g := &grant{user: user, scopes: token.Scopes}
	s.auth.grants = append(s.auth.grants, g)
	s.auth.access[token.Access.Reveal()] = accessToken{grant: g, expires: token.Expiry}
	s.auth.refresh[token.Refresh.Reveal()] = refreshToken{grant: g}
}
