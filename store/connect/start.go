package connect

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// Start returns the handler of GET …/connect: it sends the logged-in doctor's browser to
// the provider. The query may have return_to, a path of the ReturnURL's site where the
// flow is to end instead. 401 if nobody is logged in, 400 for a return_to that leaves the
// site.
func (c *Connector) Start() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		private(w)
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			methodNotAllowed(w, "GET, POST")
			return
		}
		target, err := c.Begin(w, r, r.URL.Query().Get("return_to"))
		if err != nil {
			c.refuse(w, err)
			return
		}
		http.Redirect(w, r, target, http.StatusSeeOther)
	})
}

// Begin starts a flow for the doctor who is logged in: it sets the flow's cookie on w and
// returns the provider's address to go to. returnTo is a path of the ReturnURL's site, or
// empty. The answer is kept out of caches. The error is a *FlowError with ReasonLogin, or
// matches telemed.ErrInvalid.
func (c *Connector) Begin(w http.ResponseWriter, r *http.Request, returnTo string) (string, error) {
	private(w)
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

// refuse answers what cannot be answered at the application's page.
func (c *Connector) refuse(w http.ResponseWriter, err error) {
	if fields := telemed.Fields(err); len(fields) > 0 && reasonOf(err) != ReasonLogin {
		http.Error(w, fields[0].Error(), http.StatusBadRequest)
		return
	}
	if reasonOf(err) == ReasonLogin {
		http.Error(w, "nobody is logged in", http.StatusUnauthorized)
		return
	}
	http.Error(w, "the flow cannot begin", http.StatusInternalServerError)
}
