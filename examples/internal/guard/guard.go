// Package guard stands before all routes of an application that browsers reach. It uses
// the standard library alone and is here to be copied: take the folder, and write
//
//	g, err := guard.New(guard.Config{Hosts: []string{"clinic.example"}})
//	sessions := g.NewSessions(guard.SessionsConfig{Cookie: "clinic_session"})
//	server := &http.Server{
//		Handler: g.Handler(mux), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
//	}
//
// Its files stand alone as far as they can:
//
//   - guard.go: whose Host is taken, the headers of every page, what is https;
//   - body.go: no body holds a connection;
//   - sessions.go: logins that end and are limited;
//   - files.go: static files without lists of folders;
//   - stop.go: the end of the process, in time.
//
// What it does not do: passwords, and cross-site requests. For those wrap the routes of
// pages in http.NewCrossOriginProtection, but not webhooks and the way back from a payment.
package guard

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Config configures New.
type Config struct {
	// Hosts are the names under which browsers reach the application, as they write them
	// into the Host header: "clinic.example", "127.0.0.1:3001". Required.
	Hosts []string
	// TrustProxy believes what a proxy says of the browser: X-Forwarded-Proto and the last
	// address of X-Forwarded-For. Set it only if a proxy that writes both is the only way in.
	TrustProxy bool
	// FormAction are the origins where forms of pages may lead besides the own one,
	// "https://accounts.google.com". Chromium looks at each redirect on the way. Links and
	// scripts that set location need none.
	FormAction []string
	// BodyTime is how long a request's body may take to arrive. If 0, 10 seconds.
	BodyTime time.Duration
}

// Guard is made by New. It is safe for concurrent use.
type Guard struct {
	cfg    Config
	hosts  map[string]bool
	policy string
}

// New returns a Guard, or an error if cfg names no hosts.
func New(cfg Config) (*Guard, error) {
	g := &Guard{cfg: cfg, hosts: map[string]bool{}}
	for _, host := range cfg.Hosts {
		g.hosts[strings.ToLower(host)] = true
	}
	if len(g.hosts) == 0 || g.hosts[""] {
		return nil, errors.New("guard: Hosts are required, and none may be empty")
	}
	if g.cfg.BodyTime == 0 {
		g.cfg.BodyTime = 10 * time.Second
	}
	forms := strings.Join(append([]string{"'self'"}, cfg.FormAction...), " ")
	g.policy = "default-src 'self'; form-action " + forms + "; frame-ancestors 'self'; base-uri 'none'; object-src 'none'"
	return g, nil
}

// Handler guards next. A request under another Host gets 421: a stranger's page can let
// its own name lead to this server, and would be its own page for the browser (DNS
// rebinding). next may replace the headers that are set here.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.bound(w, r)
		header := w.Header()
		header.Set("Content-Security-Policy", g.policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		if !g.hosts[strings.ToLower(r.Host)] {
			header.Set("Connection", "close")
			http.Error(w, "this server has another name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// HTTPS reports whether the browser came by https.
func (g *Guard) HTTPS(r *http.Request) bool {
	return r.TLS != nil || g.cfg.TrustProxy && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// SetCookie sets a cookie that scripts cannot read and other sites do not send along with
// a form. Behind https it travels by https alone.
func (g *Guard) SetCookie(w http.ResponseWriter, r *http.Request, cookie http.Cookie) {
	cookie.HttpOnly, cookie.Secure = true, g.HTTPS(r)
	if cookie.SameSite == 0 {
		cookie.SameSite = http.SameSiteLaxMode
	}
	http.SetCookie(w, &cookie)
}

// network is whom a limit counts as one: an address, or of IPv6 the 64 bits that one
// household or machine has to itself.
func (g *Guard) network(r *http.Request) netip.Prefix {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if all := strings.Join(r.Header.Values("X-Forwarded-For"), ","); g.cfg.TrustProxy && all != "" {
		host = strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{} // all of them are one
	}
	bits := 32
	if address = address.Unmap(); address.Is6() {
		bits = 64
	}
	network, _ := address.WithZone("").Prefix(bits)
	return network
}
