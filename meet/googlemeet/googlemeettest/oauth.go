package googlemeettest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet/googlemeet"
)

// Issuer is the iss of callbacks and id tokens: the fake speaks as Google.
const Issuer = "https://accounts.google.com"

// oauthState is what the authorization server remembers.
type oauthState struct {
	codes     map[string]*code
	access    map[string]*accessToken
	refresh   map[string]*grant
	grants    map[string]*grant // by account
	refreshes int
}

func newOAuthState() oauthState {
	return oauthState{
		codes: map[string]*code{}, access: map[string]*accessToken{},
		refresh: map[string]*grant{}, grants: map[string]*grant{},
	}
}

// grant is what an account has allowed the application, by however many tokens.
type grant struct {
	email     string
	scopes    []string
	revoked   bool
	refreshes int
}

type code struct {
	grant                  *grant
	redirectURL, challenge string
	offline, used          bool
	expires                time.Time
}

type accessToken struct {
	grant   *grant
	scopes  []string
	expires time.Time
}

const codeLifetime = 10 * time.Minute

// issueCode notes a consent.
func (s *Server) issueCode(q url.Values, email string, scopes []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.oauth.grants[email]
	first := g == nil || g.revoked
	if first {
		g = &grant{email: email}
		s.oauth.grants[email] = g
	}
	g.scopes = scopes
	text := "4/0" + rand.Text()
	s.oauth.codes[text] = &code{
		grant: g, redirectURL: q.Get("redirect_uri"), challenge: q.Get("code_challenge"),
		offline: q.Get("access_type") == "offline" && (first || slices.Contains(strings.Fields(q.Get("prompt")), "consent")),
		expires: s.engine.Now().Add(codeLifetime),
	}
	return text
}

// token is the token endpoint. See
// https://developers.google.com/identity/protocols/oauth2/web-server#exchange-authorization-code.
func (s *Server) token(in *incoming) reply {
	form, err := url.ParseQuery(string(in.body))
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "Malformed body.")
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, basic := in.BasicAuth(); basic {
		id, secret = cmp.Or(id, user), password
	}
	if !sameText(id, s.cfg.ClientID) {
		return oauthError(http.StatusUnauthorized, "invalid_client", "The OAuth client was not found.")
	}
	if !sameText(secret, s.cfg.ClientSecret) {
		return oauthError(http.StatusUnauthorized, "invalid_client", "Unauthorized")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch form.Get("grant_type") {
	case "authorization_code":
		return s.redeem(form)
	case "refresh_token":
		return s.renew(form)
	}
	return oauthError(http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: "+form.Get("grant_type"))
}

func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Server) redeem(form url.Values) reply {
	found := s.oauth.codes[form.Get("code")]
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case found == nil || s.engine.Now().After(found.expires) || found.grant.revoked:
		return oauthError(http.StatusBadRequest, "invalid_grant", "Malformed auth code.")
	case found.used:
		return oauthError(http.StatusBadRequest, "invalid_grant", "Code was already redeemed.")
	case form.Get("redirect_uri") != found.redirectURL:
		return oauthError(http.StatusBadRequest, "redirect_uri_mismatch", "Bad Request")
	case found.challenge == "" && form.Get("code_verifier") == "": // there was no PKCE
	case form.Get("code_verifier") == "":
		return oauthError(http.StatusBadRequest, "invalid_grant", "Missing code verifier.")
	case !sameText(base64.RawURLEncoding.EncodeToString(sum[:]), found.challenge):
		return oauthError(http.StatusBadRequest, "invalid_grant", "Invalid code verifier.")
	}
	found.used = true
	answer := s.issue(found.grant)
	if found.offline {
		refresh := "1//0" + rand.Text()
		s.oauth.refresh[refresh] = found.grant
		answer["refresh_token"] = refresh
	}
	return reply{status: http.StatusOK, doc: answer}
}

func (s *Server) renew(form url.Values) reply {
	s.oauth.refreshes++
	g := s.oauth.refresh[form.Get("refresh_token")]
	if g == nil || g.revoked {
		return oauthError(http.StatusBadRequest, "invalid_grant", "Token has been expired or revoked.")
	}
	g.refreshes++
	return reply{status: http.StatusOK, doc: s.issue(g)}
}

// issue makes an access token. Its answer has no refresh token: those stay as they are.
func (s *Server) issue(g *grant) object {
	access := "ya29." + rand.Text()
	s.oauth.access[access] = &accessToken{grant: g, scopes: g.scopes, expires: s.engine.Now().Add(s.cfg.TokenLifetime)}
	answer := object{
		"access_token": access, "expires_in": int(s.cfg.TokenLifetime.Seconds()),
		"scope": strings.Join(g.scopes, " "), "token_type": "Bearer",
	}
	if slices.Contains(g.scopes, "openid") {
		answer["id_token"] = s.idToken(g)
	}
	return answer
}

// idToken has Google's claims; its signature is noise.
func (s *Server) idToken(g *grant) string {
	now := s.engine.Now()
	claims := object{
		"iss": Issuer, "azp": s.cfg.ClientID, "aud": s.cfg.ClientID, "sub": subject(g.email),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	if slices.Contains(g.scopes, scopeUserEmail) {
		claims["email"], claims["email_verified"] = g.email, true
	}
	parts := []string{}
	for _, part := range []object{{"alg": "RS256", "kid": "test", "typ": "JWT"}, claims} {
		encoded, _ := json.Marshal(part) // texts and numbers
		parts = append(parts, base64.RawURLEncoding.EncodeToString(encoded))
	}
	return strings.Join(append(parts, base64.RawURLEncoding.EncodeToString([]byte(rand.Text()))), ".")
}

// subject is the account's stable number.
func subject(email string) string {
	sum := sha256.Sum256([]byte(email))
	return fmt.Sprintf("1%020d", binary.BigEndian.Uint64(sum[:8]))
}

// scopeUserEmail is what "email" is called once it was granted.
const scopeUserEmail = "https://www.googleapis.com/auth/userinfo.email"

// granted returns the scopes as Google names them in answers, in an order of its own.
func granted(asked string, calendar bool) []string {
	var scopes []string
	for _, scope := range strings.Fields(asked) {
		switch {
		case scope == "email":
			scope = scopeUserEmail
		case scope == "profile":
			scope = "https://www.googleapis.com/auth/userinfo.profile"
		case strings.HasPrefix(scope, googlemeet.ScopeCalendar) && !calendar:
			continue
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	slices.Sort(scopes)
	return scopes
}

// revoke withdraws the whole grant, by whichever of its tokens.
// See https://developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke.
func (s *Server) revoke(in *incoming) reply {
	form, _ := url.ParseQuery(string(in.body))
	text := form.Get("token")
	if text == "" {
		text = in.URL.Query().Get("token") // as Google's library for Node.js sends it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.oauth.refresh[text]
	if access := s.oauth.access[text]; access != nil {
		g = access.grant
	}
	if g == nil || g.revoked {
		return oauthError(http.StatusBadRequest, "invalid_token", "Token expired or revoked")
	}
	g.revoked = true
	return reply{status: http.StatusOK, doc: object{}}
}

// RevokeAccess does what a doctor does who removes the application in the settings of the
// Google account.
func (s *Server) RevokeAccess(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.oauth.grants[email]; g != nil {
		g.revoked = true
	}
}

// ExpireTokens ends all access tokens before their time. Refresh tokens stay.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.oauth.access)
}

func oauthError(status int, code, description string) reply {
	doc := object{"error": code}
	if description != "" {
		doc["error_description"] = description
	}
	return reply{status: status, doc: doc}
}
