package googlemeettest

import (
	"maps"
	"slices"
	"time"
)

// Grant is what an account has allowed the application, without the tokens.
type Grant struct {
	// Email is the account.
	Email  string
	Scopes []string
	// Expires is when the last of its access tokens does, by Google's clock. It is zero if
	// there is none, as after ExpireTokens.
	Expires time.Time
	// Refreshes is how often one of its refresh tokens was presented, and taken.
	Refreshes int
	// Ended is true once it was revoked, by the application or by the account's owner.
	Ended bool
}

// Grants returns what accounts have allowed, by their addresses: of each the latest.
func (s *Server) Grants() []Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Grant
	for _, email := range slices.Sorted(maps.Keys(s.oauth.grants)) {
		g := s.oauth.grants[email]
		found := Grant{Email: email, Scopes: slices.Clone(g.scopes), Refreshes: g.refreshes, Ended: g.revoked}
		for _, token := range s.oauth.access {
			if token.grant == g && token.expires.After(found.Expires) {
				found.Expires = token.expires
			}
		}
		all = append(all, found)
	}
	return all
}
