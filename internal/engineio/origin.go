package engineio

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/telemed-go/telemed/internal/fault"
)

// caller is how a request's Origin stands to the server.
type caller int

const (
	refused caller = iota
	foreign        // let in by AllowAnyOrigin: no credentials
	own            // the server's own page, or no browser at all
	listed         // another origin that may send credentials
)

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
func withoutOrigin(r *http.Request) caller {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return own
	}
	return refused
}

// sameHost compares with the Host header. Whether the page came by TLS is known
// only if TLS ends here and not at a proxy.
func sameHost(origin *url.URL, r *http.Request) bool {
	return origin.Host == canonicalHost(origin.Scheme, r.Host) && (r.TLS == nil || origin.Scheme == "https")
}

// allow writes the CORS headers that the caller's browser needs to read the answer.
func allow(h http.Header, r *http.Request, from caller) {
	h.Add("Vary", "Origin")
	switch from {
	case listed:
		h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		h.Set("Access-Control-Allow-Credentials", "true")
	case foreign:
		h.Set("Access-Control-Allow-Origin", "*")
	}
}

// preflight answers the question that a browser asks before a request with
// headers of the page's own.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
