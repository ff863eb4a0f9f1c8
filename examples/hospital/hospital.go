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
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // SQLite in Go, without cgo

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
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

// hospital is the application: its own rows, sessions and pages, and what it composes of the
// SDK.
type hospital struct {
	options
	base     string // where browsers reach it
	listener net.Listener
	server   *http.Server
	guard    *guard.Guard
	sessions *guard.Sessions
	rows     *sql.DB
	st       *sqlstore.Store
	visits   *visit.Visits
	accounts *connect.Connector
	live     *socketio.Server
	whats    *whatsapp.Client
	clients  []interface{ Shutdown(context.Context) error }
}

// compose makes everything, of what the environment says of the providers.
func (h *hospital) compose(ctx context.Context) error {
	if err := h.composeGuard(); err != nil {
		return err
	}
	db, err1 := sql.Open("sqlite3", "file:"+filepath.ToSlash(h.db)+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	keyring, err2 := store.KeyringFromEnv(h.env, "CLINIC_KEY")
	st, err3 := sqlstore.New(sqlstore.Config{DB: db, Seal: keyring, SealStrict: true})
	g, z, pay, m := googlemeet.FromEnv(h.env, st), zoom.FromEnv(h.env, st), razorpay.FromEnv(h.env), smtp.FromEnv(h.env)
	g.RedirectURL, z.RedirectURL = h.base+"/api/auth/google/doctor/callback", h.base+"/api/auth/zoom/doctor/callback"
	g.Logger, z.Logger, m.Logger, m.ReferenceHeader, pay.Claims = h.log, h.log, h.log, local.ReferenceHeader, st
	google, err4 := googlemeet.New(g)
	zoom, err5 := zoom.New(z)
	gateway, err6 := razorpay.New(pay)
	mail, err7 := smtp.New(m)
	whats, err8 := whatsapp.New(whatsapp.FromEnv(h.env))
	live, err9 := socketio.New(socketio.Config{
		Authenticate: h.watcher, Authorize: mayWatch, AllowedHosts: h.hosts(), Logger: h.log,
	})
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
		return err
	}
	h.rows, h.st, h.live, h.whats = db, st, live, whats
	h.clients = append(h.clients, google, zoom, mail)
	h.visits, err1 = visit.New(visit.Config{
		Store: st.Rows(), Clinic: clinicName, Zone: "Asia/Kolkata", Logger: h.log, Grace: h.pace, EvidenceWait: 2 * h.pace, Spacing: h.pace / 10,
		Meetings: map[string]meet.MeetingProvider{"google": google, "zoom": zoom},
		Gateway:  gateway, Mail: mail, WhatsApp: whats, Live: live, OnChange: h.noteBooked,
		ReturnURL: h.base + "/visits/mine", AccountsURL: h.base + "/doctor/settings/integration",
		Evidence: map[notify.Channel]notify.Evidence{notify.Email: mailEvents{h.env("EMAIL_EVENTS_URL")}},
	})
	if err1 != nil {
		return err1
	}
	h.accounts, err1 = connect.New(connect.Config{
		Providers: []oauth.Provider{google.OAuth(), zoom.OAuth()}, Tokens: st, Seal: keyring, Subject: h.sessions.Subject,
		ReturnURL: h.base + "/doctor/settings/integration", OnConnect: h.visits.Connected, Logger: h.log,
	})
	h.server = &http.Server{
		Handler: h.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
	return errors.Join(err1, st.CreateTables(ctx, schema))
}

// composeGuard says under which names the hospital is reached, and who is logged in. The
// proxy on this machine that a public address needs is believed.
func (h *hospital) composeGuard() (err error) {
	if base, err := url.Parse(h.base); err != nil || base.Host == "" {
		return errors.New("-url must be an address such as https://clinic.example")
	}
	h.guard, err = guard.New(guard.Config{Hosts: h.hosts(), TrustProxy: h.public != ""})
	if err != nil {
		return err
	}
	h.sessions = h.guard.NewSessions(guard.SessionsConfig{
		Cookie: sessionCookie,
		OnEnd:  func(doctor string) { h.live.Hub().Disconnect(doctor) }, // those that are logged in come back
	})
	return nil
}

func (h *hospital) hosts() []string {
	base, _ := url.Parse(h.base)
	return []string{base.Host, h.listener.Addr().String()}
}

// watcher says who opens a dashboard. Strangers may connect, and join nothing.
func (h *hospital) watcher(r *http.Request) (string, error) {
	subject, err := h.sessions.Subject(r)
	if errors.Is(err, guard.ErrNoSession) {
		return "", nil
	}
	return subject, err
}

func mayWatch(_ context.Context, who realtime.Client, room string) error {
	if who.Subject != doctor.ID || room != "clinic-"+clinicID {
		return telemed.ErrForbidden
	}
	return nil
}

// routes mounts the SDK's handlers at the addresses that the hospital had before, beside its
// own pages. What payments and webhooks say is signed, so that no origin is asked for.
func (h *hospital) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/auth/{provider}/doctor/{action}", h.accounts) // connect, callback, status, disconnect
	mux.Handle("/payments/callback", h.visits.Callback())
	mux.Handle("/webhooks/razorpay", h.visits.PaymentWebhook())
	mux.Handle("/webhooks/whatsapp", h.whats.Reports(h.visits.Report))
	mux.Handle("/socket.io/", h.live)
	mux.Handle("/", h.pages())
	return h.guard.Handler(mux)
}

// book reserves a visit: the hospital's own row and the visit, both or neither. It returns
// the patient's page. The same form again is the same visit.
func (h *hospital) book(ctx context.Context, form string, req visit.Request) (page string, err error) {
	err = h.st.InTx(ctx, func(tx *sqlstore.Tx) error {
		const own = `INSERT INTO visits (form, id, page) VALUES ($1, $2, $3) ON CONFLICT (form) DO UPDATE SET form = $1 RETURNING id, page`
		row := tx.QueryRowContext(ctx, own, form, "visit-"+strings.ToLower(rand.Text()), rand.Text())
		if err := row.Scan(&req.ID, &page); err != nil {
			return err
		}
		return h.visits.WithStore(tx).Book(ctx, req)
	})
	return page, err
}

// noteBooked keeps when a visit was booked, which is when the dashboard lists it.
func (h *hospital) noteBooked(ctx context.Context, v *visit.Visit) error {
	if v.Status != visit.StatusBooked {
		return nil
	}
	_, err := h.rows.ExecContext(ctx, `UPDATE visits SET booked_at = $1 WHERE id = $2 AND booked_at = ''`,
		time.Now().UTC().Format(time.RFC3339), v.ID)
	return err
}

// visitOf returns the visit of a patient's page, or telemed.ErrNotFound.
func (h *hospital) visitOf(ctx context.Context, page string) (*visit.Visit, error) {
	var id string
	err := h.rows.QueryRowContext(ctx, `SELECT id FROM visits WHERE page = $1`, page).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, telemed.ErrNotFound
	} else if err != nil {
		return nil, err
	}
	return h.visits.Get(ctx, id)
}

// booked returns the visits that were booked, the latest first.
func (h *hospital) booked(ctx context.Context) (all []*visit.Visit, err error) {
	rows, err := h.rows.QueryContext(ctx, `SELECT id FROM visits WHERE booked_at > '' ORDER BY booked_at DESC LIMIT 100`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		v, err := h.visits.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// close ends what was composed.
func (h *hospital) close() error {
	err := telemed.Shutdown(endTime/2, h.clients...)
	if h.sessions != nil {
		h.sessions.Close()
	}
	if h.rows != nil {
		err = errors.Join(err, h.rows.Close())
	}
	return err
}
