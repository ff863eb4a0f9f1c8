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
	"github.com/telemed-go/telemed/internal/inbound"
)

// Start returns the handler of GET …/connect: it sends the logged-in doctor's browser to
// the provider. The query may have return_to, a path of the ReturnURL's site where the
// flow is to end instead. 401 if nobody is logged in, 400 for a return_to that leaves the
// site.
//
// 403 unless the application's own page begins the flow: by a link of this site, or by a
// form of this origin or the ReturnURL's. Links in frames and on other sites, prefetches,
// and a single sign-on that redirects here are refused; let the latter end at a page of
// the application first.
func (c *Connector) Start() http.Handler {
	return inbound.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		private(w)
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			methodNotAllowed(w, "GET, POST")
			return
		}
		target, err := c.Begin(w, r, r.URL.Query().Get("return_to"))
		if err != nil {
			c.logRefusal(r, err)
			c.refuse(w, err)
			return
		}
		http.Redirect(w, r, target, http.StatusSeeOther)
	}))
}

// Begin starts a flow for the doctor who is logged in: it sets the flow's cookie on w and
// returns the provider's address to go to. returnTo is a path of the ReturnURL's site, or
// empty. The answer is kept out of caches. No cookie is set if there is an error: it is a
// *FlowError with ReasonLogin, or with ReasonCrossSite for a request that Start would
// refuse, or matches telemed.ErrInvalid.
//
// A handler of POST that returns the address as JSON is how pages connect that log in by
// a bearer token or a SameSite=Strict cookie; see the package's Example of it.
func (c *Connector) Begin(w http.ResponseWriter, r *http.Request, returnTo string) (string, error) {
	private(w)
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
		Provider: c.cfg.Provider.Name, Subject: subject, ReturnTo: returnTo,
		State: rand.Text() + rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Expires: time.Now().Add(flowTime).Unix(),
	}
	name := c.cookieName(f.State)
	value, err := c.sealer.seal(name, f)
	if err != nil {
		return "", err
	}
	fresh := c.cookie(name, value, flowTime)
	c.sweep(w, r, fresh)
	http.SetCookie(w, fresh)
	return c.cfg.Provider.AuthCodeURL(f.State, f.Verifier), nil
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
// Host looks like an attack.
func (c *Connector) logRefusal(r *http.Request, err error) {
	if reasonOf(err) == ReasonCrossSite {
		c.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "connect: flow refused",
			slog.String("provider", c.cfg.Provider.Name), slog.Any("error", err))
	}
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
