package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // SQLite in Go, without cgo

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/zoom"
)

// The hospital has one doctor and one clinic.
const clinicID, clinicName = "lotus", "Lotus Clinic"

var (
	doctor = visit.Doctor{ID: "dr-rao", Name: "Dr Meera Rao", Email: "rao@lotus.example"}
	fee    = payments.INR(50000)
)

//go:embed schema.sql
var schema string

// hospital is the application: its own rows and pages, and what it composes of the SDK.
type hospital struct {
	options
	base     string // where browsers reach it
	listener net.Listener
	server   *http.Server
	door     *door
	rows     *sql.DB
	st       *sqlstore.Store
	google   *googlemeet.Client
	zoom     *zoom.Client
	mail     *smtp.Client
	visits   *visit.Visits
	accounts *connect.Connector
}

// compose makes it all, of what the environment says of the providers.
func (h *hospital) compose(ctx context.Context) (err error) {
	if err := h.openDoor(); err != nil {
		return err
	}
	db, err1 := sql.Open("sqlite3", "file:"+filepath.ToSlash(h.db)+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	keyring, err2 := store.KeyringFromEnv(h.env, "CLINIC_KEY")
	st, err3 := sqlstore.New(sqlstore.Config{DB: db, Seal: keyring, SealStrict: true})
	// What was bought and not saved yet when the process died.
	spool, err4 := oauth.NewFileSpool(h.db+".spool", keyring)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	g, z := googlemeet.FromEnv(h.env, st), zoom.FromEnv(h.env, st)
	pay, post := razorpay.FromEnv(h.env), smtp.FromEnv(h.env)
	g.RedirectURL, z.RedirectURL = h.base+"/api/auth/google/doctor/callback", h.base+"/api/auth/zoom/doctor/callback"
	g.Refreshing, z.Refreshing = h.refreshing(spool), h.refreshing(spool)
	g.Logger, z.Logger, post.Logger, post.ReferenceHeader, pay.Claims = h.log, h.log, h.log, local.ReferenceHeader, st
	h.google, err1 = googlemeet.New(g)
	h.zoom, err2 = zoom.New(z)
	h.mail, err3 = smtp.New(post)
	gateway, err4 := razorpay.New(pay)
	chat, err5 := whatsapp.New(whatsapp.FromEnv(h.env))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	h.rows, h.st = db, st
	settings := h.base + "/doctor/settings/integration"
	h.visits, err1 = visit.New(visit.Config{
		Store: st.Rows(), Clinic: clinicName, Zone: "Asia/Kolkata", Gateway: gateway, Mail: h.mail,
		Meetings:  map[string]meet.MeetingProvider{"google": h.google, "zoom": h.zoom},
		ReturnURL: h.base + "/visits/mine", AccountsURL: settings, WhatsApp: chat, Live: h.door.live, Logger: h.log,
		Evidence: map[notify.Channel]notify.Evidence{notify.Email: mailEvents{h.env("EMAIL_EVENTS_URL")}},
		Grace:    h.pace, EvidenceWait: 2 * h.pace, Spacing: h.pace / 10, AllowUnreviewed: true, Observe: h.observe,
	})
	if err1 != nil {
		return err1
	}
	h.accounts, err1 = connect.New(connect.Config{
		Providers: []oauth.Provider{h.google.OAuth(), h.zoom.OAuth()}, Tokens: st, Seal: keyring,
		Subject: h.door.Subject, ReturnURL: settings, OnConnect: h.visits.Connected, Logger: h.log,
	})
	h.server = &http.Server{
		Handler: h.routes(chat.Reports(h.visits.Report)), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
	return errors.Join(err1, st.CreateTables(ctx, schema), h.restore(ctx))
}

// routes mounts the SDK's handlers at the addresses that the hospital had before, beside its
// own pages. What payments and webhooks say is signed, so that no origin is asked for.
func (h *hospital) routes(reports http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/auth/{provider}/doctor/{action}", h.accounts)
	mux.Handle("POST /payments/callback", h.visits.Callback())
	mux.Handle("/webhooks/razorpay", h.visits.PaymentWebhook())
	mux.Handle("/webhooks/whatsapp", reports)
	mux.Handle("/socket.io/", h.door.live)
	mux.Handle("/", h.pages())
	return h.door.Handler(mux)
}

// book reserves a visit: the hospital's own row and the visit, both or neither. It returns
// the patient's page. The same form again is the same visit.
func (h *hospital) book(ctx context.Context, form string, req visit.Request) (page string, err error) {
	err = h.st.InTx(ctx, func(tx *sqlstore.Tx) error {
		const own = `INSERT INTO visits (form, id, page, made) VALUES ($1, $2, $3, $4)
			ON CONFLICT (form) DO UPDATE SET form = $1 RETURNING id, page`
		row := tx.QueryRowContext(ctx, own, form, "visit-"+strings.ToLower(rand.Text()), rand.Text(), time.Now().Unix())
		if err := row.Scan(&req.ID, &page); err != nil {
			return err
		}
		return h.visits.WithStore(tx).Book(ctx, req)
	})
	return page, err
}
