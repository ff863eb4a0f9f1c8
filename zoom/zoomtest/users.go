package zoomtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// adminScope is what a scope ends with that is for all users of an account.
const adminScope = ":admin"

// mint gives a token for a whole account, as to a server-to-server app. See
// https://developers.zoom.us/docs/internal-apps/s2s-oauth/.
func (s *Server) mint(w http.ResponseWriter, form url.Values) {
	id := form.Get("account_id")
	if !slices.ContainsFunc(s.cfg.Users, func(u User) bool { return u.AccountID == id }) || id == "" {
		oauthError(w, "invalid_request", "Bad Request")
		return
	}
	g := &grant{accountID: id}
	for _, scope := range s.cfg.Scopes {
		g.scopes = append(g.scopes, strings.TrimSuffix(scope, adminScope)+adminScope)
	}
	s.issue(w, g)
}

// target returns the user that a request is about: the one in its path, or whose meeting
// is there. It is the token's own, by any of its names, or one of the token's account.
func (s *Server) target(w http.ResponseWriter, r *http.Request, g *grant) (User, bool) {
	name := r.PathValue("user")
	if g.accountID == "" {
		if own := []string{"", "me", g.user.ID, g.user.Email}; !slices.ContainsFunc(own, func(n string) bool { return strings.EqualFold(n, name) }) {
			refuse(w, http.StatusBadRequest, 4700, "Invalid access token, does not contain scopes.")
			return User{}, false
		}
		return g.user, true
	}
	if name == "" {
		return s.ownerIn(g.accountID, r.PathValue("id")), true
	}
	for _, user := range s.cfg.Users {
		if user.AccountID == g.accountID && (user.ID == name || strings.EqualFold(user.Email, name)) {
			return user, true
		}
	}
	// "me" too: an account is nobody.
	refuse(w, http.StatusNotFound, 1001, "User does not exist: "+name+".")
	return User{}, false
}

// ownerIn returns the user of an account who has a meeting, or nobody.
func (s *Server) ownerIn(accountID, meetingID string) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.find(meetingID); m != nil {
		if user, _ := s.user(m.DoctorID); user.AccountID == accountID {
			return user
		}
	}
	return User{}
}

// checkQuery refuses what the fake does not have, and what is neither true nor false.
func checkQuery(w http.ResponseWriter, r *http.Request) bool {
	for name, values := range r.URL.Query() {
		switch {
		case name == "occurrence_id":
			absent(w, "recurring meetings")
			return false
		case slices.Contains(switches, name) && values[0] != "true" && values[0] != "false":
			refuse(w, http.StatusBadRequest, 300, "Validation Failed.", name)
			return false
		}
	}
	return true
}

// switches are the parameters that are true or false. Nobody is reminded here, and there
// are no occurrences.
var switches = []string{"show_previous_occurrences", "schedule_for_reminder", "cancel_meeting_reminder"}

// absent answers for what Zoom has and the fake does not.
func absent(w http.ResponseWriter, what string) {
	refuse(w, http.StatusNotImplemented, 2300, "zoomtest does not have "+what+".")
}
