package main

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/telemed-go/telemed/examples/internal/guard"
)

//go:embed web
var web embed.FS

// maxForm is how many bytes a form may have.
const maxForm = 64 << 10

// bounded reads the whole form before anything is done.
func bounded(next http.Handler) http.Handler { return guard.Whole(maxForm, next) }

// handler mounts the SDK's handlers at the addresses that the hospital had before, and
// its own pages.
func (h *hospital) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/auth/{provider}/doctor/{action}", h.accounts)
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
	own.Handle("GET /static/", http.StripPrefix("/static/", guard.Files(static)))
	mux.Handle("/", bounded(http.NewCrossOriginProtection().Handler(own)))

	// These two come from Razorpay: the browser with the outcome, and the webhook. Their
	// signatures prove it. An origin would not.
	mux.Handle("POST /payments/callback", bounded(http.HandlerFunc(h.postPayment)))
	mux.Handle("POST /webhooks/razorpay", h.paymentEvents)
	return h.guard.Handler(mux)
}
