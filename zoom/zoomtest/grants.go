package zoomtest

import (
	"slices"
	"time"
)

// Grant is what a user has allowed the app, without the tokens.
type Grant struct {
	User   User
	Scopes []string
	// Expires is when the last of its access tokens does, by Zoom's clock. It is zero after
	// ExpireTokens.
	Expires time.Time
	// Refreshes is how often its refresh token was spent.
	Refreshes int
	// Ended is true once the user has removed the app, or consented again, which replaces a
	// grant.
	Ended bool
}

// Grants returns what users have allowed so far, in the order in which the app has fetched
// its tokens. Tokens for a whole account are not among it.
func (s *Server) Grants() []Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Grant
	for _, g := range s.auth.grants {
		found := Grant{User: g.user, Scopes: slices.Clone(g.scopes), Refreshes: g.refreshes, Ended: g.dead}
		for _, token := range s.auth.access {
			if token.grant == g && token.expires.After(found.Expires) {
				found.Expires = token.expires
			}
		}
		all = append(all, found)
	}
	return all
}
