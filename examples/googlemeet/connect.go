package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
)

// connectDoctor serves the pages of a host until the doctor has connected an account. Port 0 of
// the RedirectURL is any free one.
func connectDoctor(ctx context.Context, cfg googlemeet.Config, browse func(address string) error) (*googlemeet.Client, error) {
	redirect, err := url.Parse(cfg.RedirectURL)
	if err != nil {
		return nil, err
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
	google, err := googlemeet.New(cfg)
	if err != nil {
		return nil, err
	}
	base := redirect.Scheme + "://" + redirect.Host
	connector, err := connect.New(connect.Config{
		Provider: google.OAuth(), Tokens: cfg.Tokens, ReturnURL: base + "/done", AllowInsecureLocalhost: true,
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
	defer server.Close()
	go func() { _ = server.Serve(listener) }() // ends with Close

	if err := browse(base + "/connect"); err != nil {
		return nil, err
	}
	select {
	case result := <-done:
		if result.Get("success") != "true" {
			return nil, fmt.Errorf("the account was not connected: %s", result.Get("reason"))
		}
		return google, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// allow is the browser of a doctor who clicks Allow.
func allow(fake *googlemeettest.Server, address string) error {
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
