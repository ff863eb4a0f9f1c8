package main

import (
	"bytes"
	"embed"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"time"
)

//go:embed web
var web embed.FS

const (
	// maxForm is how many bytes a form may have.
	maxForm = 64 << 10
	// formTime is how long a browser may take to send one.
	formTime = 10 * time.Second
)

// bounded reads the whole body before anything is done. One that is too long or drips in
// too slowly holds nobody up. The server has no ReadTimeout, because live connections
// stay open.
func bounded(next http.Handler) http.Handler { return boundedBy(formTime, next) }

func boundedBy(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(limit)) // recorders in tests have none
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			http.Error(w, "that is more than 65536 bytes", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the request did not arrive whole", http.StatusRequestTimeout)
			return
		}
		_ = control.SetReadDeadline(time.Time{})
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// handler mounts the SDK's handlers at the addresses that the hospital had before, and
// its own pages.
func (h *hospital) handler() http.Handler {
	mux := http.NewServeMux()
	for name, c := range h.connects {
		route := "/api/auth/" + name + "/doctor/"
		mux.Handle("GET "+route+"connect", c.Start())
		mux.Handle("GET "+route+"callback", c.Callback())
		mux.Handle("GET "+route+"status", c.Status())
		mux.Handle("POST "+route+"disconnect", bounded(c.Disconnect()))
	}
	mux.Handle("/socket.io/", h.live)

	own := http.NewServeMux()
	own.HandleFunc("GET /{$}", h.showHome)
	own.HandleFunc("GET /book", h.showBooking)
	own.HandleFunc("POST /book", h.postBooking)
	own.HandleFunc("GET /visits/mine", h.showMine)
	own.HandleFunc("GET /visits/{page}", h.ofVisit(h.showVisit))
	own.HandleFunc("GET /visits/{page}/mail/{n}", h.ofVisit(h.showMail))
	own.HandleFunc("POST /visits/{page}/reschedule", h.ofVisit(h.postReschedule))
	own.HandleFunc("POST /visits/{page}/cancel", h.ofVisit(h.postCancel))
	own.HandleFunc("POST /login", h.postLogin)
	own.HandleFunc("POST /logout", h.postLogout)
	own.HandleFunc("GET /doctor/settings/integration", h.showSettings)
	own.HandleFunc("GET /clinic", h.showClinic)
	own.HandleFunc("GET /", h.showNothing)
	static, err := fs.Sub(web, "web/static")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	own.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	mux.Handle("/", bounded(http.NewCrossOriginProtection().Handler(own)))

	// These two come from Razorpay: the browser with the outcome, and the webhook. Their
	// signatures prove it. An origin would not.
	mux.Handle("POST /payments/callback", bounded(http.HandlerFunc(h.postPayment)))
	mux.Handle("POST /webhooks/razorpay", h.paymentEvents)
	return secured(mux)
}

// secured keeps pages out of others' frames and out of caches, and their addresses out of
// the Referer header.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; object-src 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
