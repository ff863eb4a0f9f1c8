package main

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/telemed-go/telemed/payments"
)

//go:embed web
var web embed.FS

// maxForm is how many bytes a form may have.
const maxForm = 64 << 10

// handler mounts the SDK's handlers at the addresses that the hospital had before, and its own pages.
func (h *hospital) handler() http.Handler {
	mux := http.NewServeMux()
	for name, c := range h.connects {
		route := "/api/auth/" + name + "/doctor/"
		mux.Handle("GET "+route+"connect", c.Start())
		mux.Handle("GET "+route+"callback", c.Callback())
		mux.Handle("GET "+route+"status", c.Status())
		mux.Handle("POST "+route+"disconnect", c.Disconnect())
	}
	mux.Handle("/socket.io/", h.live)

	own := http.NewServeMux()
	own.HandleFunc("GET /{$}", h.showHome)
	own.HandleFunc("GET /book", h.showBooking)
	own.HandleFunc("POST /book", h.postBooking)
	own.HandleFunc("GET /visits/{id}", h.showVisit)
	own.HandleFunc("GET /visits/{id}/mail/{n}", h.showMail)
	own.HandleFunc("POST /visits/{id}/reschedule", h.postReschedule)
	own.HandleFunc("POST /visits/{id}/cancel", h.postCancel)
	own.HandleFunc("POST /login", h.postLogin)
	own.HandleFunc("POST /logout", h.postLogout)
	own.HandleFunc("GET /doctor/settings/integration", h.showSettings)
	own.HandleFunc("GET /clinic", h.showClinic)
	static, err := fs.Sub(web, "web/static")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	own.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	mux.Handle("/", http.MaxBytesHandler(http.NewCrossOriginProtection().Handler(own), maxForm))

	// These two come from Razorpay: the browser with the outcome, and the webhook. Signatures prove them, not origins.
	mux.Handle("POST /payments/callback", http.MaxBytesHandler(http.HandlerFunc(h.postPayment), maxForm))
	mux.Handle("POST /webhooks/razorpay", payments.NewWebhookHandler(payments.WebhookConfig{
		Parser: h.gateway, Handle: h.onPaymentEvent, Logger: h.log,
	}))
	return secured(mux)
}

// secured keeps pages out of frames of others, out of caches, and their addresses out of the Referer header.
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
