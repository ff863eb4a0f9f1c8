package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// connectDoctor serves the pages of a host until the doctor has connected an account. Port 0 of
// the RedirectURL is any free one.
func connectDoctor(ctx context.Context, cfg zoom.Config, browse func(address string) error) (*zoom.Client, error) {
	redirect, err := url.Parse(cfg.RedirectURL)
	if err != nil || redirect.Scheme != "http" || redirect.Path == "" {
		return nil, errors.New("ZOOM_REDIRECT_URI must be like http://localhost:3000/callback: this program answers there itself")
	}
	listener, err := net.Listen("tcp", redirect.Host)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if redirect.Port() == "0" {
		redirect.Host = listener.Addr().String()
		cfg.RedirectURL = redirect.String()
	}
	z, err := zoom.New(cfg)
	if err != nil {
		return nil, err
	}
	base := redirect.Scheme + "://" + redirect.Host
	connector, err := connect.New(connect.Config{
		Provider: z.OAuth(), Tokens: cfg.Tokens, ReturnURL: base + "/done", AllowInsecureLocalhost: true,
		CookieKeys: []telemed.Secret{store.NewKey()},
		Subject:    func(*http.Request) (string, error) { return doctor, nil }, // a host asks its session
	})
	if err != nil {
		return nil, err
	}
	done := make(chan url.Values, 1)
	mux := http.NewServeMux()
	mux.Handle("GET /connect", connector.Start())
	mux.Handle("GET "+redirect.Path, connector.Callback())
	mux.HandleFunc("GET /done", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "You can close this page.")
		select {
		case done <- r.URL.Query():
		default:
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	defer server.Shutdown(context.WithoutCancel(ctx)) // lets the last page out
	go func() { _ = server.Serve(listener) }()        // ends with Shutdown

	if err := browse(base + "/connect"); err != nil {
		return nil, err
	}
	select {
	case result := <-done:
		if result.Get("success") != "true" {
			return nil, fmt.Errorf("the account was not connected: %s", result.Get("reason"))
		}
		return z, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// allow is the browser of a doctor who clicks Allow.
func allow(fake *zoomtest.Server, address string) error {
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
	callback, err := fake.Authorize(page.Request.URL.String())
	if err != nil {
		return err
	}
	end, err := browser.Get(callback)
	if err != nil {
		return err
	}
	return end.Body.Close()
}
