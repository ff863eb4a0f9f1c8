package zoomtest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// authState is what the authorization server remembers. Server.mu guards it.
type authState struct {
	consents  map[string]consent
	codes     map[string]code
	access    map[string]accessToken
	refresh   map[string]refreshToken
	grants    []*grant // in the order of their making
	refreshes int
	reuses    int
}

// consent is a page that waits for a click.
type consent struct {
	redirectURL, state, challenge string
	scopes                        []string
}

type code struct {
	consent
	user    User
	expires time.Time
}

// grant is what a user gave to the app. Its tokens die with it.
type grant struct {
	user      User
	accountID string // of a grant for a whole account, which has no user
	scopes    []string
	dead      bool
	refreshes int
}

type accessToken struct {
	*grant
	expires time.Time
}

type refreshToken struct {
	*grant
	spent bool
}

func newAuthState() authState {
	return authState{
		consents: map[string]consent{}, codes: map[string]code{},
		access: map[string]accessToken{}, refresh: map[string]refreshToken{},
	}
}

// Refreshes is how often a refresh token was spent.
func (s *Server) Refreshes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth.refreshes
}

// Reuses is how often a refresh token was sent again after it was spent.
func (s *Server) Reuses() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth.reuses
}

// ExpireTokens ends all access tokens: the next call with one is refused with 401 and
// code 124.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, token := range s.auth.access {
		token.expires = time.Time{}
		s.auth.access[text] = token
	}
}

// Uninstall does what a user does who removes the app in Zoom: all of the user's tokens
// die.
func (s *Server) Uninstall(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth.kill(userID)
}

// kill ends a user's grants.
func (a *authState) kill(userID string) {
	for _, token := range a.refresh {
		if token.user.ID == userID {
			token.dead = true
		}
	}
}

// consentPage shows what the app asks for.
func (s *Server) consentPage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	asked := strings.Fields(query.Get("scope"))
	switch {
	case query.Get("client_id") != s.cfg.ClientID:
		refusePage(w, "Invalid client id (4,702)")
	case query.Get("response_type") != "code":
		refusePage(w, "Invalid response type")
	case !s.registered(query.Get("redirect_uri")):
		refusePage(w, "Invalid redirect (4,709)")
	case query.Get("state") == "":
		refusePage(w, "There is no state: anybody could inject a code")
	case query.Has("code_challenge") && query.Get("code_challenge_method") != "S256":
		refusePage(w, "Invalid code challenge method")
	case slices.ContainsFunc(asked, func(scope string) bool { return !slices.Contains(s.cfg.Scopes, scope) }):
		refusePage(w, "Invalid scope (4,711)")
	default:
		s.showConsent(w, consent{
			redirectURL: query.Get("redirect_uri"), state: query.Get("state"),
			challenge: query.Get("code_challenge"), scopes: s.granted(asked),
		})
	}
}

func (s *Server) registered(redirectURL string) bool {
	u, err := url.Parse(redirectURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	return len(s.cfg.RedirectURLs) == 0 || slices.Contains(s.cfg.RedirectURLs, redirectURL)
}

func (s *Server) granted(asked []string) []string {
	switch {
	case s.cfg.Grant != nil:
		return s.cfg.Grant
	case len(asked) == 0:
		return s.cfg.Scopes
	}
	return asked
}

func (s *Server) showConsent(w http.ResponseWriter, c consent) {
	id := rand.Text()
	s.mu.Lock()
	s.auth.consents[id] = c
	s.mu.Unlock()
	w.Header().Set(consentHeader, id)
	showPage(w, http.StatusOK, consentTemplate, map[string]any{"Consent": id, "Scopes": c.scopes, "Users": s.cfg.Users})
}

// consent takes the click.
func (s *Server) consent(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PostFormValue("consent")
	c, ok := s.auth.consents[id]
	if !ok {
		refusePage(w, "This page is not good any more")
		return
	}
	delete(s.auth.consents, id)
	answer := url.Values{"state": {c.state}}
	user, known := s.user(r.PostFormValue("user"))
	switch {
	case r.PostFormValue("decision") != "allow":
		answer.Set("error", "access_denied")
	case !known:
		refusePage(w, "There is no such user")
		return
	default:
		text := rand.Text()
		s.auth.codes[text] = code{consent: c, user: user, expires: s.engine.Now().Add(5 * time.Minute)}
		answer.Set("code", text)
	}
	target, _ := url.Parse(c.redirectURL) // checked when the page was shown
	query := target.Query()
	for name := range answer {
		query.Set(name, answer.Get(name))
	}
	target.RawQuery = query.Encode()
	http.Redirect(w, r, target.String(), http.StatusFound)
}

// oauthError answers as Zoom does: with a reason in place of a description.
func oauthError(w http.ResponseWriter, code, reason string) {
	writeJSON(w, http.StatusBadRequest, map[string]any{"reason": reason, "error": code})
}

// form reads a form of the app itself. Only the body counts, as with Zoom.
func (s *Server) form(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	if r.Method != http.MethodPost || r.ParseForm() != nil {
		oauthError(w, "invalid_request", "Bad Request")
		return nil, false
	}
	id, secret, _ := r.BasicAuth()
	if !same(id, s.cfg.ClientID) || !same(secret, s.cfg.ClientSecret) {
		oauthError(w, "invalid_client", "Invalid client_id or client_secret")
		return nil, false
	}
	return r.PostForm, true
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	form, ok := s.form(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch form.Get("grant_type") {
	case "authorization_code":
		s.buy(w, form)
	case "refresh_token":
		s.rotate(w, form)
	case "account_credentials":
		s.mint(w, form)
	default:
		oauthError(w, "unsupported_grant_type", "Unsupported grant type")
	}
}

// buy gives tokens for a code. A new consent of a user ends the user's earlier ones.
func (s *Server) buy(w http.ResponseWriter, form url.Values) {
	text := form.Get("code")
	c, ok := s.auth.codes[text]
	delete(s.auth.codes, text)
	switch {
	case !ok || s.engine.Now().After(c.expires):
		oauthError(w, "invalid_grant", "Invalid authorization code")
	case c.redirectURL != form.Get("redirect_uri"):
		oauthError(w, "invalid_request", "Redirect URI mismatch")
	case c.challenge != "" && !verified(c.challenge, form.Get("code_verifier")):
		oauthError(w, "invalid_grant", "Invalid code verifier")
	default:
		s.auth.kill(c.user.ID)
		g := &grant{user: c.user, scopes: c.scopes}
		s.auth.grants = append(s.auth.grants, g)
		s.issue(w, g)
	}
}

// verified checks a PKCE verifier (RFC 7636).
func verified(challenge, verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return same(challenge, base64.RawURLEncoding.EncodeToString(sum[:]))
}

// rotate gives new tokens for a refresh token, which is spent by that. The access token
// of before ends too: https://devforum.zoom.us/t/70072 and 74432.
func (s *Server) rotate(w http.ResponseWriter, form url.Values) {
	text := form.Get("refresh_token")
	token, ok := s.auth.refresh[text]
	if token.spent {
		s.auth.reuses++
	}
	if !ok || token.spent || token.dead {
		oauthError(w, "invalid_grant", "Invalid Token!")
		return
	}
	token.spent = true
	s.auth.refresh[text] = token
	s.auth.refreshes++
	token.grant.refreshes++
	if !s.cfg.KeepAccessTokens {
		maps.DeleteFunc(s.auth.access, func(_ string, t accessToken) bool { return t.grant == token.grant })
	}
	s.issue(w, token.grant)
}

func (s *Server) issue(w http.ResponseWriter, g *grant) {
	access := "access-" + rand.Text()
	s.auth.access[access] = accessToken{g, s.engine.Now().Add(s.cfg.TokenLifetime)}
	apiURL := s.cfg.APIURL
	setDefault(&apiURL, s.url)
	answer := map[string]any{
		"access_token": access, "token_type": "bearer",
		"expires_in": int(s.cfg.TokenLifetime / time.Second), "scope": strings.Join(g.scopes, " "), "api_url": apiURL,
	}
	if g.accountID == "" { // another one is minted when an account's has expired
		refresh := "refresh-" + rand.Text()
		s.auth.refresh[refresh] = refreshToken{grant: g}
		answer["refresh_token"] = refresh
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	form, ok := s.form(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.auth.access[form.Get("token")]
	if !ok || token.dead || s.engine.Now().After(token.expires) {
		oauthError(w, "invalid_token", "Invalid Token!")
		return
	}
	token.dead = true
	writeJSON(w, http.StatusOK, map[string]any{"status": "success"})
}

// api lets a request through that has a live token with the scope. The handler gets the
// user that it is about.
func (s *Server) api(scope string, handler func(http.ResponseWriter, *http.Request, User)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		s.mu.Lock()
		token, ok := s.auth.access[text]
		dead := ok && token.dead
		s.mu.Unlock()
		needed := scope
		if ok && token.accountID != "" {
			needed += adminScope
		}
		switch {
		case scheme != "Bearer" || !ok || dead:
			refuse(w, http.StatusUnauthorized, 124, "Invalid access token.")
		case s.engine.Now().After(token.expires):
			refuse(w, http.StatusUnauthorized, 124, "Access token is expired.")
		case !slices.Contains(token.scopes, needed):
			refuse(w, http.StatusBadRequest, 4711, "Invalid access token, does not contain scopes:["+needed+"].")
		case !checkQuery(w, r):
		default:
			if user, ok := s.target(w, r, token.grant); ok {
				handler(w, r, user)
			}
		}
	}
}
