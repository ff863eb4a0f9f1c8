package googlemeettest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// tokenInfo tells what an access token is good for. Google's library for Node.js sends it
// in the header, others in the query or in a form.
func (s *Server) tokenInfo(in *incoming) reply {
	text, _ := strings.CutPrefix(in.Header.Get("Authorization"), "Bearer ")
	form, _ := url.ParseQuery(string(in.body))
	for _, values := range []url.Values{in.URL.Query(), form} {
		if values.Has("access_token") {
			text = values.Get("access_token")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := s.oauth.access[text]
	if token == nil || token.grant.revoked || s.engine.Now().After(token.expires) {
		return oauthError(http.StatusBadRequest, "invalid_token", "Invalid Value")
	}
	doc := object{
		"azp": s.cfg.ClientID, "aud": s.cfg.ClientID, "scope": strings.Join(token.scopes, " "), "access_type": "offline",
		"exp":        strconv.FormatInt(token.expires.Unix(), 10),
		"expires_in": strconv.Itoa(int(token.expires.Sub(s.engine.Now()).Seconds())),
	}
	if slices.Contains(token.scopes, "openid") {
		doc["sub"] = subject(token.grant.email)
	}
	if slices.Contains(token.scopes, scopeUserEmail) {
		doc["email"], doc["email_verified"] = token.grant.email, "true"
	}
	return reply{status: http.StatusOK, doc: doc}
}
