// Package connect lets a doctor connect an account: one handler for all steps of OAuth 2.0,
// for all providers of an application that a [oauth.Provider] describes.
//
//	accounts, err := connect.New(connect.Config{
//		Providers: []oauth.Provider{google.OAuth(), zoom.OAuth()}, // of their Clients
//		Tokens:    tokens,
//		Seal:      keyring,        // the one that seals tokens
//		Subject:   loggedInDoctor, // func(*http.Request) (string, error)
//		ReturnURL: "https://app.clinic.example/doctor/settings/integration",
//	})
//	mux.Handle("/api/auth/{provider}/doctor/{action}", accounts)
//
// The provider is its name, "google", and its RedirectURL leads to the action "callback"
// there. The actions are connect, callback, status, disconnect and events; see
// [Connector.ServeHTTP].
//
// The browser ends at ReturnURL with "?provider=google&success=true", or with success=false
// and a [Reason]. An application with a user interface of its own uses Begin and Finish
// instead.
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
// RedirectURL and ReturnURL may be plain http.
package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
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
	// Providers are where doctors connect. Their names differ, and so do their RedirectURLs:
	// by a callback of its own, no provider can pass off a code as another one's (RFC 9700
	// §4.4). Where RedirectURL is plain http, which is for loopback only, cookies go over
	// plain http too. Required.
	Providers []oauth.Provider
	// Tokens is where their tokens go. Required.
	Tokens store.TokenStore
	// Subject returns the application's id of the doctor who is logged in, from the session
	// and never from the query. An error, or "", means that nobody is. Required.
	Subject func(*http.Request) (string, error)
	// Seal encrypts the flow's cookie: the store.Keyring, or whatever else, that seals the
	// tokens. All processes have the same. Required.
	Seal store.AEAD
	// ReturnURL is the application's page where flows end: an https address (http on loopback).
	// Required.
	ReturnURL string

	// Claims makes a state good for one callback, in all processes that share it. A provider
	// that sees a code again, because the doctor reloads the page, may take back the token
	// (RFC 6749 §4.1.2). If nil, Tokens where that implements store.Claims, as sqlstore's
	// and mongostore's do; else a store.Memory, which is enough for one process.
	Claims store.Claims
	// OnConnect is called after a token was stored, OnDisconnect after it was deleted: by the
	// doctor, or because the provider gave notice that the doctor has removed the app there.
	// May be nil.
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

// Connector is the http.Handler of all steps, at all providers. It is safe for concurrent
// use.
type Connector struct {
	cfg      Config
	returnTo *url.URL
	guard    *http.CrossOriginProtection
	routes   map[string]*route
}

// route is the Connector at one provider.
type route struct {
	*Connector
	provider oauth.Provider
	insecure bool // its cookies go over plain http
	actions  map[string]http.Handler
}

// New returns a Connector, or an error that names everything that is wrong with cfg.
func New(cfg Config) (*Connector, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.Claims = claimsOf(cfg)
	cfg.Providers = slices.Clone(cfg.Providers)
	if err := errors.Join(checkProviders(cfg.Providers), cfg.check()); err != nil {
		return nil, err
	}
	c := &Connector{cfg: cfg, guard: http.NewCrossOriginProtection(), routes: map[string]*route{}}
	c.returnTo, _ = url.Parse(cfg.ReturnURL) // checked
	if err := c.guard.AddTrustedOrigin(c.returnTo.Scheme + "://" + c.returnTo.Host); err != nil {
		return nil, fault.Invalid("connect", "ReturnURL", "has no valid origin")
	}
	for _, provider := range cfg.Providers {
		at := &route{Connector: c, provider: provider, insecure: strings.HasPrefix(provider.RedirectURL, "http:")}
		if err := at.setActions(); err != nil {
			return nil, fmt.Errorf("connect: the events of %s: %w", provider.Name, err)
		}
		c.routes[provider.Name] = at
	}
	return c, nil
}

func (cfg Config) check() error {
	var p fault.Problems
	p.NotNil("Tokens", cfg.Tokens)
	p.Optional("Claims", cfg.Claims)
	p.Check(cfg.Subject != nil, "Subject", "is required")
	p.NotNil("Seal", cfg.Seal)
	returnTo, err := url.Parse(cfg.ReturnURL)
	secure := err == nil && returnTo != nil && address.Secure(cfg.ReturnURL)
	p.Required("ReturnURL", cfg.ReturnURL)
	p.Check(cfg.ReturnURL == "" || secure, "ReturnURL", "is not an https address (http is for loopback only)")
	return p.Err("connect")
}

// checkProviders names what is wrong with each, and with them beside each other.
func checkProviders(providers []oauth.Provider) error {
	var p fault.Problems
	p.Check(len(providers) > 0, "Providers", "are required")
	names, redirects := map[string]bool{}, map[string]bool{}
	for i, provider := range providers {
		field := fmt.Sprintf("Providers[%d].", i)
		for _, wrong := range telemed.Fields(provider.Validate()) {
			p.Add(field+wrong.Field, "%s", wrong.Problem)
		}
		p.Check(provider.Name == "" || !names[provider.Name], field+"Name", "is there twice")
		p.Check(provider.RedirectURL == "" || !redirects[provider.RedirectURL], field+"RedirectURL", "is another provider's")
		names[provider.Name], redirects[provider.RedirectURL] = true, true
	}
	return p.Err("connect")
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

// at returns the route of a provider.
func (c *Connector) at(provider string) (*route, error) {
	if at, ok := c.routes[provider]; ok {
		return at, nil
	}
	return nil, fault.Invalid("connect", "provider", "is none of Providers")
}

// accountID is under which the account of subject is stored.
func (c *route) accountID(subject string) store.AccountID {
	return store.AccountID{Provider: c.provider.Name, Subject: subject}
}

// subject asks the application who is logged in.
func (c *route) subject(r *http.Request) (string, error) {
	subject, err := c.cfg.Subject(r)
	if err != nil {
		return "", &FlowError{Reason: ReasonLogin, Err: &subjectError{err}}
	}
	if subject == "" {
		return "", &FlowError{Reason: ReasonLogin}
	}
	if err := c.accountID(subject).Validate(); err != nil {
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
