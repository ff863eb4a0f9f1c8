// Package origin decides which pages may use a handler that browsers reach with cookies:
// by the page's origin, and by the name under which the request came. It is what the
// transports of package realtime have in common.
package origin

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/telemed-go/telemed/internal/fault"
)

// Rules are those of one handler. They are safe for concurrent use.
type Rules struct {
	origins map[string]bool
	any     bool
	hosts   hosts
}

// Config is what New needs. The fields are those of a transport's Config, which documents
// them.
type Config struct {
	AllowedOrigins []string
	AllowAnyOrigin bool
	AllowedHosts   []string
}

// New returns rules. What is wrong with cfg is added to p.
func New(p *fault.Problems, cfg Config) *Rules {
	origins := checkOrigins(p, cfg.AllowedOrigins)
	return &Rules{origins: origins, any: cfg.AllowAnyOrigin, hosts: checkHosts(p, cfg.AllowedHosts, origins)}
}

// Caller is how a request's Origin stands to the server.
type Caller int

// The callers.
const (
	Refused Caller = iota
	Foreign        // let in by AllowAnyOrigin: no credentials
	Own            // the server's own page, or no browser at all
	Listed         // another origin that may send credentials
)

// Of returns who the page is that has made its browser send r.
func (rules *Rules) Of(r *http.Request) Caller {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return withoutOrigin(r)
	}
	origin, ok := parseOrigin(values[0])
	switch {
	case len(values) > 1:
		return Refused
	case ok && rules.origins[origin.String()]:
		return Listed
	case ok && sameHost(origin, r):
		return Own
	case rules.any:
		return Foreign
	}
	return Refused
}

// KnowsHost reports whether r's Host is a name of this server.
func (rules *Rules) KnowsHost(r *http.Request) bool { return rules.hosts.allow(r) }

func checkOrigins(p *fault.Problems, allowed []string) map[string]bool {
	origins := make(map[string]bool)
	for _, text := range allowed {
		origin, ok := parseOrigin(text)
		p.Check(ok, "AllowedOrigins", `holds what is not an origin such as "https://clinic.example" (a wildcard is spelled AllowAnyOrigin)`)
		p.Check(isASCII(text), "AllowedOrigins", `holds a name that browsers send in ASCII, as "https://xn--…"`)
		origins[origin.String()] = true
	}
	return origins
}

// isASCII is false for a name as people write it in other scripts. No Origin header is
// equal to it.
func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// parseOrigin accepts scheme://host[:port] alone and brings it to the form that browsers
// send.
func parseOrigin(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || strings.Contains(u.Host, "*") {
		return &url.URL{}, false
	}
	scheme := strings.ToLower(u.Scheme)
	rest := *u
	rest.Scheme, rest.Host = "", ""
	if (scheme != "http" && scheme != "https") || rest != (url.URL{}) {
		return &url.URL{}, false
	}
	return &url.URL{Scheme: scheme, Host: canonicalHost(scheme, u.Host)}, true
}

func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "http" {
		return strings.TrimSuffix(host, ":80")
	}
	return strings.TrimSuffix(host, ":443")
}

// withoutOrigin is for programs, and for GET requests of the server's own pages.
// Other pages can make a browser leave out Origin, by an <img>, but not this header.
// https://www.w3.org/TR/fetch-metadata/
func withoutOrigin(r *http.Request) Caller {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return Own
	}
	return Refused
}

// sameHost compares with the Host header. Whether the page came by TLS is known
// only if TLS ends here and not at a proxy.
func sameHost(origin *url.URL, r *http.Request) bool {
	return origin.Host == canonicalHost(origin.Scheme, r.Host) && (r.TLS == nil || origin.Scheme == "https")
}

// Shown is what a log may hold of where r comes from: its Origin and its Host, as far as they
// have the form of one. "" stands for none, and "unreadable" for any other text.
func Shown(r *http.Request) (page, host string) {
	page, host = r.Header.Get("Origin"), "http://"+r.Host
	for _, text := range []*string{&page, &host} {
		origin, ok := parseOrigin(*text)
		switch {
		case ok && isASCII(origin.Host) && len(origin.Host) <= maxShown:
			*text = origin.String()
		case *text != "":
			*text = "unreadable"
		}
	}
	return page, strings.TrimPrefix(host, "http://")
}

// maxShown is how many bytes the name of a host may have: RFC 1035, and a port.
const maxShown = 255 + len(":65535")

// Allow writes the CORS headers that the caller's browser needs to read the answer.
func Allow(h http.Header, r *http.Request, from Caller) {
	h.Add("Vary", "Origin")
	switch from {
	case Listed:
		h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		h.Set("Access-Control-Allow-Credentials", "true")
	case Foreign:
		h.Set("Access-Control-Allow-Origin", "*")
	}
}

// Preflight answers the question that a browser asks before a request with headers of the
// page's own. methods are those that the handler takes: "GET, POST".
func Preflight(w http.ResponseWriter, r *http.Request, methods string) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", methods)
	if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
