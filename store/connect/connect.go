// Package connect lets a doctor connect an account: the OAuth 2.0 start, callback,
// disconnect and status handlers, for any provider that a [oauth.Provider] describes.
//
//	google, err := connect.New(connect.Config{
//		Provider:   meetClient.OAuth(), // a *googlemeet.Client or *zoom.Client
//		Tokens:     tokens,
//		CookieKeys: []telemed.Secret{cookieKey}, // 32 random bytes or more
//		Subject:    loggedInDoctor,              // func(*http.Request) (string, error)
//		ReturnURL:  "https://app.clinic.example/doctor/settings/integration",
//	})
//	mux.Handle("GET /api/auth/google/doctor/connect", google.Start())
//	mux.Handle("GET /api/auth/google/doctor/callback", google.Callback())
//	mux.Handle("POST /api/auth/google/doctor/disconnect", google.Disconnect())
//	mux.Handle("GET /api/auth/google/doctor/status", google.Status())
//
// The browser ends at ReturnURL with "?provider=google&success=true", or with
// success=false and a [Reason]. An application with a user interface of its own uses
// Begin and Finish instead.
//
// # Bearer tokens and SameSite=Strict
//
// A browser that comes from the consent page sends neither, so that Subject would find
// nobody at Callback. Such an application mounts two handlers of POST and one page:
//
//   - POST …/begin calls Begin and answers the address as JSON. The page's script posts
//     there with its session, and goes to the address.
//   - RedirectURL is a page that everybody may load. Its script posts to …/finish with the
//     query that it was loaded with, and with its session. The page is sent with
//     Cache-Control: no-store and Referrer-Policy: no-referrer, as its address has a code.
//   - POST …/finish calls Finish, and answers as the application likes.
//
// The scripts run on the origin of these handlers, because a browser keeps the flow's
// cookie for no other. The Example of Begin with the suffix bearer is the whole of it.
//
// # Security
//
// A flow is bound to the browser that began it and to the doctor who was logged in: its
// state is random and says nothing, and a sealed cookie of ten minutes holds what belongs
// to it. The doctor is asked of the application again at the callback. PKCE (S256) is
// always used, the issuer checked where there is one (RFC 9207), scopes compared as a
// set, and a token stored only if it can be refreshed. Nothing is taken from a query that
// decides whose account it is. A flow begins, and an account is disconnected, on a request
// of the application's own pages only; a stranger's page, frame or form gets 403 and no
// cookie. The handlers have no use for a body: one of more than 64 KiB is answered with
// 413, and one that takes more than 10 seconds with 408.
//
// # Errors
//
// Finish and Forget return errors that match those of package store; a failed flow is
// a *FlowError with its Reason.
//
// # Testing
//
// zoom/zoomtest and meet/googlemeet/googlemeettest have consent pages on loopback, where
// a plain http RedirectURL needs AllowInsecureLocalhost.
package connect

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// Config configures a Connector.
type Config struct {
	// Provider is where doctors connect. Required.
	Provider oauth.Provider
	// Tokens is where their tokens go. Required.
	Tokens store.TokenStore
	// Subject returns the application's id of the doctor who is logged in, from the session
	// and never from the query. An error, or "", means that nobody is. Required.
	Subject func(*http.Request) (string, error)
	// CookieKeys seal the flow's cookie: each of 32 random bytes or more. The first one
	// seals, all of them open, so that a new one can be put in front while flows are under
	// way. store.NewKey makes one. Required.
	CookieKeys []telemed.Secret
	// ReturnURL is the application's page where flows end: an https address (http on loopback).
	// Required.
	ReturnURL string

	// AllowInsecureLocalhost lets cookies go over plain http, for development on this
	// machine: then the Provider's RedirectURL may be http. It has no effect on https.
	AllowInsecureLocalhost bool
	// Claims makes a state good for one callback, in all processes that share it. A provider
	// that sees a code again, because the doctor reloads the page, may take back the token
	// (RFC 6749 §4.1.2). If nil, Tokens where that implements store.Claims, as sqlstore's
	// and mongostore's do; else a store.Memory, which is enough for one process.
	Claims store.Claims
	// OnConnect is called after a token was stored, OnDisconnect after it was deleted. May
	// be nil.
	OnConnect    func(ctx context.Context, id store.AccountID, account store.Account)
	OnDisconnect func(ctx context.Context, id store.AccountID)
	// Logger gets one line for each flow that failed, without names or tokens: a warning if
	// provider, store or configuration failed, else for information. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// flowTime is how long a doctor may take on the consent page.
const flowTime = 10 * time.Minute

// What follows the callback is bounded by exchangeTime at the provider and by storeTime
// at the store.
const (
	exchangeTime = 30 * time.Second
	storeTime    = 10 * time.Second
)

// Connector has the handlers of one provider. It is safe for concurrent use.
type Connector struct {
	cfg      Config
	sealer   sealer
	returnTo *url.URL
	insecure bool
	guard    *http.CrossOriginProtection
}

// New returns a Connector, or an error that names everything that is wrong with cfg.
func New(cfg Config) (*Connector, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.Claims = claimsOf(cfg)
	c := &Connector{cfg: cfg, guard: http.NewCrossOriginProtection()}
	var p fault.Problems
	p.NotNil("Tokens", cfg.Tokens)
	p.Optional("Claims", cfg.Claims)
	p.Check(cfg.Subject != nil, "Subject", "is required")
	p.Check(len(cfg.CookieKeys) > 0, "CookieKeys", "are required")
	for _, key := range cfg.CookieKeys {
		p.Check(len(key.Reveal()) >= 32, "CookieKeys", "must have 32 bytes or more each")
		decoded, _ := base64.StdEncoding.DecodeString(key.Reveal()) // store.NewKey's are base64
		p.Varied("CookieKeys", []byte(key.Reveal()), decoded)
	}
	returnTo, err := url.Parse(cfg.ReturnURL)
	p.Required("ReturnURL", cfg.ReturnURL)
	p.Check(cfg.ReturnURL == "" || err == nil && address.Secure(cfg.ReturnURL), "ReturnURL", "is not an https address (http is for loopback only)")
	c.insecure = strings.HasPrefix(cfg.Provider.RedirectURL, "http:")
	p.Check(!c.insecure || cfg.AllowInsecureLocalhost, "Provider.RedirectURL", "is plain http; that needs AllowInsecureLocalhost")
	if err := errors.Join(cfg.Provider.Validate(), p.Err("connect")); err != nil {
		return nil, err
	}
	if err := c.guard.AddTrustedOrigin(returnTo.Scheme + "://" + returnTo.Host); err != nil {
		return nil, fault.Invalid("connect", "ReturnURL", "has no valid origin")
	}
	c.returnTo = returnTo
	c.sealer, err = newSealer(cfg.CookieKeys)
	return c, err
}

// claimsOf returns what remembers which flows came back.
func claimsOf(cfg Config) store.Claims {
	if cfg.Claims != nil {
		return cfg.Claims
	}
	if claims, ok := cfg.Tokens.(store.Claims); ok {
		return claims
	}
	return store.NewMemory()
}

// AccountID returns the id under which the account of subject is stored.
func (c *Connector) AccountID(subject string) store.AccountID {
	return store.AccountID{Provider: c.cfg.Provider.Name, Subject: subject}
}

// subject asks the application who is logged in.
func (c *Connector) subject(r *http.Request) (string, error) {
	subject, err := c.cfg.Subject(r)
	if err != nil {
		return "", &FlowError{Reason: ReasonLogin, Err: &subjectError{err}}
	}
	if subject == "" {
		return "", &FlowError{Reason: ReasonLogin}
	}
	if err := c.AccountID(subject).Validate(); err != nil {
		return "", &FlowError{Reason: ReasonLogin, Err: err}
	}
	return subject, nil
}

// private keeps answers out of caches, and our addresses, which have codes in them, out
// of the Referer header.
func private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}
