// Package consent connects a doctor's account in a program that has no web pages of its
// own.
package consent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
)

// Pages are the pages that a doctor's browser needs on the way: start, callback and end.
type Pages struct {
	// RedirectURL is the callback, for the client's configuration.
	RedirectURL string

	base     string
	callback string
	listener net.Listener
}

// Listen opens the address of a redirect URL: http, on this machine. Port 0 is any free
// one.
func Listen(redirectURL string) (*Pages, error) {
	u, err := url.Parse(redirectURL)
	if err != nil || u.Scheme != "http" || slices.Contains([]string{"", "/", "/connect", "/done"}, u.Path) {
		return nil, errors.New("must be like http://localhost:3000/callback: this program answers there, beside its own /connect and /done")
	}
	listener, err := net.Listen("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	if u.Port() == "0" {
		u.Host = listener.Addr().String()
		redirectURL = u.String()
	}
	return &Pages{RedirectURL: redirectURL, base: "http://" + u.Host, callback: u.Path, listener: listener}, nil
}

// Close closes the address. After Connect it does nothing.
func (p *Pages) Close() { _ = p.listener.Close() }

// Connect serves the pages until the doctor has connected an account of the provider. Its
// tokens are stored then. browse opens the first page, or has somebody open it. Connect
// is called once.
func (p *Pages) Connect(
	ctx context.Context, doctorID string, provider oauth.Provider, tokens store.TokenStore, browse func(address string) error,
) error {
	keyring, err := store.NewKeyring(store.NewKey())
	if err != nil {
		return err
	}
	connector, err := connect.New(connect.Config{
		Providers: []oauth.Provider{provider}, Tokens: tokens, ReturnURL: p.base + "/done", Seal: keyring,
		// An application asks its session.
		Subject: func(*http.Request) (string, error) { return doctorID, nil },
	})
	if err != nil {
		return err
	}
	done := make(chan url.Values, 1)
	mux := http.NewServeMux()
	// The callback's path is whatever is registered with the provider.
	for path, action := range map[string]string{"/connect": "connect", p.callback: "callback"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			r.SetPathValue("provider", provider.Name)
			r.SetPathValue("action", action)
			connector.ServeHTTP(w, r)
		})
	}
	mux.HandleFunc("GET /done", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "You can close this page.")
		select {
		case done <- r.URL.Query():
		default:
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Shutdown(context.WithoutCancel(ctx)) // lets the last page out
	serving.Go(func() { _ = server.Serve(p.listener) })

	if err := browse(p.base + "/connect"); err != nil {
		return err
	}
	select {
	case result := <-done:
		if result.Get("success") != "true" {
			return fmt.Errorf("the account was not connected: %s", result.Get("reason"))
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Print asks whoever reads out to open the page.
func Print(out io.Writer) func(address string) error {
	return func(address string) error {
		_, err := fmt.Fprintln(out, "open in a browser:", address)
		return err
	}
}

// Allow is the browser of a doctor who clicks Allow. authorize is the click on the
// consent page of a local provider.
func Allow(authorize func(consentURL string) (callbackURL string, err error)) func(address string) error {
	return func(address string) error {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return err
		}
		browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
		page, err := browser.Get(address) // leads to the consent page
		if err != nil {
			return err
		}
		defer page.Body.Close()
		callback, err := authorize(page.Request.URL.String())
		if err != nil {
			return err
		}
		end, err := browser.Get(callback)
		if err != nil {
			return err
		}
		return end.Body.Close()
	}
}
