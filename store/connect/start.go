package connect

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// connect is the action that begins a flow.
func (c *route) connect(w http.ResponseWriter, r *http.Request) {
	private(w)
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		methodNotAllowed(w, "GET, POST")
		return
	}
	c.warnElsewhere(r)
	target, err := c.begin(w, r, r.URL.Query().Get("return_to"))
	if err != nil {
		c.logRefusal(r, err)
		c.refuse(w, err)
		return
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// Begin starts a flow at a provider, by its name, for the doctor who is logged in: it sets
// the flow's cookie on w and returns the provider's address to go to. returnTo is a path of
// the ReturnURL's site, or empty. The answer is kept out of caches. No cookie is set if
// there is an error: it is a *FlowError with ReasonLogin, or with ReasonCrossSite for a
// request that ServeHTTP would refuse, or matches telemed.ErrInvalid.
//
// A handler of POST that returns the address as JSON is how pages connect that log in by
// a bearer token or a SameSite=Strict cookie; see the package's Example of it.
func (c *Connector) Begin(w http.ResponseWriter, r *http.Request, provider, returnTo string) (string, error) {
	private(w)
	at, err := c.at(provider)
	if err != nil {
		return "", err
	}
	return at.begin(w, r, returnTo)
}

func (c *route) begin(w http.ResponseWriter, r *http.Request, returnTo string) (string, error) {
	if err := c.guardStart(r); err != nil {
		return "", err
	}
	subject, err := c.subject(r)
	if err != nil {
		return "", err
	}
	if returnTo != "" && !sameSite(returnTo) {
		return "", fault.Invalid("connect", "return_to", "is not a path of this site")
	}
	f := flow{
		Provider: c.provider.Name, Subject: subject, ReturnTo: returnTo,
		State: rand.Text() + rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Expires: time.Now().Add(flowTime).Unix(),
	}
	name := c.cookieName(f.State)
	value, err := c.seal(name, f)
	if err != nil {
		return "", err
	}
	fresh := c.cookie(name, value, flowTime)
	c.sweep(w, r, fresh)
	http.SetCookie(w, fresh)
	return c.provider.AuthCodeURL(f.State, f.Verifier), nil
}

// sameSite accepts absolute paths only. Browsers read a backslash as a slash and skip
// control characters, so that "/\evil.example" and "/\t/evil.example" would leave the
// site.
func sameSite(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || len(path) > 512 || !utf8.ValidString(path) {
		return false
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return false
	}
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && u.Fragment == ""
}

func methodNotAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}

// logRefusal tells of a request that only its sender would know of: a proxy that rewrites
// Host looks like an attack. What is our own fault is a warning.
func (c *route) logRefusal(r *http.Request, err error) {
	level := slog.LevelWarn
	switch reason := reasonOf(err); {
	case reason == ReasonCrossSite:
		level = slog.LevelInfo
	case reason == ReasonLogin, len(telemed.Fields(err)) > 0:
		return
	}
	c.cfg.Logger.LogAttrs(r.Context(), level, "connect: flow refused",
		slog.String("provider", c.provider.Name), slog.Any("error", err))
}

// refuse answers what cannot be answered at the application's page.
func (c *Connector) refuse(w http.ResponseWriter, err error) {
	if fields := telemed.Fields(err); len(fields) > 0 && reasonOf(err) != ReasonLogin {
		http.Error(w, fields[0].Error(), http.StatusBadRequest)
		return
	}
	if reasonOf(err) == ReasonCrossSite {
		http.Error(w, "a flow begins at a page of the application", http.StatusForbidden)
		return
	}
	if reasonOf(err) == ReasonLogin {
		http.Error(w, "nobody is logged in", http.StatusUnauthorized)
		return
	}
	http.Error(w, "the flow cannot begin", http.StatusInternalServerError)
}
