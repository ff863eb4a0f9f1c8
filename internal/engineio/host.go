package engineio

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/telemed-go/telemed/internal/fault"
)

// hosts decides whether a request's Host is a name of this server.
type hosts struct {
	listed  map[string]bool // as "name" or "name:port", in small letters
	pages   map[string]bool // the names of AllowedOrigins
	anybody bool            // no host is listed
}

func checkHosts(p *fault.Problems, allowed []string, origins map[string]bool) hosts {
	h := hosts{listed: make(map[string]bool), pages: make(map[string]bool), anybody: len(allowed) == 0}
	for _, host := range allowed {
		origin, ok := parseOrigin("http://" + host)
		p.Check(ok && isASCII(host), "AllowedHosts",
			`holds what is not a host such as "clinic.example" or "clinic.example:8443", in ASCII and without a wildcard`)
		h.listed[normalHost(origin.Host)] = true
	}
	for text := range origins {
		if origin, ok := parseOrigin(text); ok {
			h.pages[normalHost(origin.Hostname())] = true
		}
	}
	return h
}

func (h hosts) allow(r *http.Request) bool {
	name, port := splitHost(r.Host)
	switch {
	case !h.anybody:
		return h.listed[name] || port != "" && h.listed[net.JoinHostPort(name, port)]
	case !onLoopback(r):
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil || !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost") || h.pages[name] || cameByTLS(r)
}

// cameByTLS reports whether the browser has seen a certificate for r's Host, which no
// name has that leads to another's machine: then a proxy ended TLS. Browsers write
// Sec-Fetch-Site only into requests to https and to localhost, and no page can write it.
// https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
func cameByTLS(r *http.Request) bool {
	origin, ok := parseOrigin(r.Header.Get("Origin"))
	return ok && origin.Scheme == "https" && sameHost(origin, r) || r.Header.Get("Sec-Fetch-Site") != ""
}

// splitHost returns the name of a Host header in small letters, without brackets and
// without the dot at its end, and its port, if it says one.
func splitHost(host string) (name, port string) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ""
	}
	return strings.TrimSuffix(strings.ToLower(name), "."), port
}

// normalHost brings a configured host to the form in which allow asks for it.
func normalHost(host string) string {
	name, port := splitHost(host)
	if port == "" {
		return name
	}
	return net.JoinHostPort(name, port)
}

// onLoopback reports whether the client's connection ends at a loopback address.
func onLoopback(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	address, err := netip.ParseAddrPort(local.String())
	return err == nil && address.Addr().Unmap().IsLoopback()
}
