package connect

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// cookieName is the flow's own: two tabs are two flows. The __Host- prefix makes
// browsers refuse it over plain http, for a path, and from a subdomain.
func (c *route) cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return c.cookiePrefix() + base64.RawURLEncoding.EncodeToString(sum[:6])
}

func (c *route) cookiePrefix() string {
	prefix := "__Host-telemed_"
	if c.insecure {
		prefix = "telemed_"
	}
	return prefix + c.provider.Name + "_"
}

// isFlow reports whether a cookie is that of a flow, at any provider.
func (c *Connector) isFlow(name string) bool {
	for _, at := range c.routes {
		if strings.HasPrefix(name, at.cookiePrefix()) {
			return true
		}
	}
	return false
}

func (c *route) cookie(name, value string, age time.Duration) *http.Cookie {
	seconds := int(age / time.Second)
	if seconds <= 0 {
		seconds = -1
	}
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: !c.insecure,
		SameSite: http.SameSiteLaxMode, // Strict would not come back from the consent page
	}
}

// maxFlows is how many bytes of cookies the flows of one browser may have: some nine
// flows of the usual size. They go with each request, and servers refuse long headers,
// nginx those of 8 kB.
const maxFlows = 3 << 10

// sweep clears the cookies of flows that were given up, if there would be too many with
// the fresh one.
func (c *route) sweep(w http.ResponseWriter, r *http.Request, fresh *http.Cookie) {
	var names []string
	size := cookieSize(fresh)
	for _, cookie := range r.Cookies() {
		if c.isFlow(cookie.Name) {
			names = append(names, cookie.Name)
			size += cookieSize(cookie)
		}
	}
	if size <= maxFlows {
		return
	}
	for _, name := range names {
		http.SetCookie(w, c.cookie(name, "", 0))
	}
}

func cookieSize(cookie *http.Cookie) int {
	return len(cookie.Name) + len("=") + len(cookie.Value) + len("; ")
}
