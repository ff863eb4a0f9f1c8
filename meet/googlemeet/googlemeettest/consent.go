package googlemeettest

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/meet/googlemeet"
)

//go:embed consent.html
var consentHTML string

var consentTemplate = template.Must(template.New("consent").Parse(consentHTML))

// consentView is what the page shows.
type consentView struct {
	Email, Client, Return string
	Calendar              bool
	Error                 string
	Room                  string
}

// consentPage shows the page, or why there is none: then the browser is not sent back.
func (s *Server) consentPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if status, problem := s.checkConsent(q); problem != "" {
		render(w, status, consentView{Error: problem})
		return
	}
	back, _ := url.Parse(q.Get("redirect_uri")) // checked
	render(w, http.StatusOK, consentView{
		Email: s.cfg.Email, Client: s.cfg.ClientID, Return: back.Host,
		Calendar: strings.Contains(q.Get("scope"), googlemeet.ScopeCalendar),
	})
}

func render(w http.ResponseWriter, status int, view consentView) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=UTF-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_ = consentTemplate.Execute(w, view) // the browser has gone
}

// checkConsent names what Google's error page would name.
func (s *Server) checkConsent(q url.Values) (status int, problem string) {
	switch {
	case q.Get("client_id") != s.cfg.ClientID:
		return http.StatusUnauthorized, "invalid_client: the OAuth client was not found"
	case !s.registered(q.Get("redirect_uri")):
		return http.StatusBadRequest, "redirect_uri_mismatch: the redirect URI is not registered"
	case q.Get("response_type") != "code":
		return http.StatusBadRequest, "unsupported_response_type: only code is supported"
	case strings.TrimSpace(q.Get("scope")) == "":
		return http.StatusBadRequest, "invalid_request: missing required parameter: scope"
	case s.cfg.Lenient && !q.Has("code_challenge") && !q.Has("code_challenge_method"):
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43:
		return http.StatusBadRequest, "invalid_request: a PKCE challenge with method S256 is required"
	}
	return http.StatusOK, ""
}

func (s *Server) registered(redirectURL string) bool {
	if len(s.cfg.RedirectURLs) > 0 {
		return slices.Contains(s.cfg.RedirectURLs, redirectURL)
	}
	u, err := url.Parse(redirectURL)
	return err == nil && address.Loopback(u.Hostname())
}

// consentAnswer takes the click and sends the browser back.
func (s *Server) consentAnswer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if status, problem := s.checkConsent(q); problem != "" {
		render(w, status, consentView{Error: problem})
		return
	}
	email := strings.ToLower(strings.TrimSpace(r.PostFormValue("email")))
	answer := url.Values{"iss": {Issuer}}
	if state := q.Get("state"); state != "" {
		answer.Set("state", state)
	}
	switch {
	case r.PostFormValue("decision") != "allow":
		answer.Set("error", "access_denied")
	case !strings.Contains(email, "@"):
		render(w, http.StatusBadRequest, consentView{Error: "Couldn't find your account"})
		return
	default:
		scopes := granted(q.Get("scope"), r.PostFormValue("calendar") != "")
		answer.Set("code", s.issueCode(q, email, scopes))
		answer.Set("scope", strings.Join(scopes, " "))
		answer.Set("authuser", "0")
		answer.Set("prompt", "consent")
	}
	back, _ := url.Parse(q.Get("redirect_uri")) // checked
	query := back.Query()
	for name, values := range answer {
		query[name] = values
	}
	back.RawQuery = query.Encode()
	w.Header().Set("Location", back.String())
	w.WriteHeader(http.StatusFound)
}

// Consent is what a doctor does on the consent page.
type Consent struct {
	// Email is the account. If empty, Config.Email.
	Email string
	// Deny is a click on Deny.
	Deny bool
	// WithoutCalendar leaves the box for the calendar unticked, and allows the rest.
	WithoutCalendar bool
}

// Authorize opens the consent page at authURL, clicks Allow, and returns the address of
// the callback that the browser is sent to. It does not open that one. An error means
// that there was a page with an error instead.
func (s *Server) Authorize(authURL string) (callbackURL string, err error) {
	return s.Answer(authURL, Consent{})
}

// Answer is Authorize for a doctor who clicks something else.
func (s *Server) Answer(authURL string, c Consent) (callbackURL string, err error) {
	browser := s.engine.Browser()
	if err := visit(browser.Get(authURL)); err != nil {
		return "", err
	}
	form := url.Values{"email": {c.Email}, "decision": {"allow"}, "calendar": {"on"}}
	if c.Email == "" {
		form.Set("email", s.cfg.Email)
	}
	if c.Deny {
		form.Set("decision", "deny")
	}
	if c.WithoutCalendar {
		form.Del("calendar")
	}
	resp, err := browser.PostForm(authURL, form)
	if err := visit(resp, err); err != nil {
		return "", err
	}
	location, err := resp.Location()
	if err != nil {
		return "", errors.New("googlemeettest: the consent page sends the browser nowhere")
	}
	return location.String(), nil
}

// maxPage is how much of a page is read, in bytes.
const maxPage = 1 << 20

func visit(resp *http.Response, err error) error {
	if err != nil {
		return fmt.Errorf("googlemeettest: consent page: %w", err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return fmt.Errorf("googlemeettest: consent page: %w", err)
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("googlemeettest: consent page: %d: %s", resp.StatusCode, errorOn(string(page)))
	}
	return nil
}

// errorOn finds the text of the page's alert.
func errorOn(page string) string {
	_, text, _ := strings.Cut(page, `role="alert">`)
	text, _, _ = strings.Cut(text, "<")
	return text
}

// roomPage is where a join link leads.
func (s *Server) roomPage(w http.ResponseWriter, r *http.Request) {
	code := r.PathValue("code")
	if !s.roomExists(code) {
		render(w, http.StatusNotFound, consentView{Error: "Check your meeting code"})
		return
	}
	render(w, http.StatusOK, consentView{Room: code})
}
