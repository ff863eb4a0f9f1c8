// Clinic is a whole application in one file: doctors connect Google or Zoom, patients book
// and pay, what is paid gets a meeting, mail and WhatsApp tell it and remind of it, and the
// dashboard sees it live.
//
//	go run ./examples/sandbox go run ./examples/clinic   # with all providers on this machine
//	go run ./examples/clinic                             # with the real ones: names what is missing
package main

import (
	"cmp"
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata"

	_ "github.com/ncruces/go-sqlite3/driver" // for PostgreSQL: "github.com/jackc/pgx/v5/stdlib"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/zoom"
)

//go:embed schema.sql
var schema string

var doctors = map[string]visit.Doctor{"dr-rao": {ID: "dr-rao", Name: "Dr Meera Rao", Email: "rao@lotus.example"}}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Getenv)
	if stop(); err != nil {
		log.Fatalf("clinic: %v", err)
	}
}

func run(ctx context.Context, env func(string) string) error {
	// For PostgreSQL: sql.Open("pgx", env("DATABASE_URL"))
	db, err1 := sql.Open("sqlite3", "file:clinic.db?_txlock=immediate&_pragma=busy_timeout(10000)")
	keys, err2 := store.KeyringFromEnv(env, "CLINIC_KEY") // seals what is kept of people
	st, err3 := sqlstore.New(sqlstore.Config{DB: db, Seal: keys})
	google, err4 := googlemeet.New(googlemeet.FromEnv(env, st))
	zoom, err5 := zoom.New(zoom.FromEnv(env, st))
	gateway, err6 := razorpay.New(razorpay.FromEnv(env))
	mail, err7 := smtp.New(smtp.FromEnv(env))
	chat, err8 := whatsapp.New(whatsapp.FromEnv(env))
	inRoom := func(ctx context.Context, who realtime.Client, room string) error {
		return db.QueryRowContext(ctx, `SELECT 1 FROM staff WHERE login = $1 AND room = $2`, who.Subject, room).Scan(new(int))
	}
	live, err9 := socketio.New(socketio.FromEnv(env, user, inRoom))
	frontend, err10 := env("FRONTEND_URL"), error(nil)
	if frontend == "" {
		err10 = errors.New("set FRONTEND_URL, where the pages are")
	}
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9, err10); err != nil {
		return err // every variable that is missing or wrong, by its name
	}

	visits, err1 := visit.New(visit.Config{
		Store: st.Rows(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Live: live, Logger: slog.Default(),
		Meetings: map[string]meet.MeetingProvider{"google": google, "zoom": zoom}, ReturnURL: frontend + "/visits",
		Gateway: gateway, Mail: mail, WhatsApp: chat, AccountsURL: frontend + "/doctor/settings/integration",
		Refunds: []fulfill.Tier{{Before: 24 * time.Hour, Percent: 100}, {Before: 12 * time.Hour, Percent: 50}},
	})
	accounts, err2 := connect.New(connect.Config{
		Providers: []oauth.Provider{google.OAuth(), zoom.OAuth()}, Tokens: st, Claims: st, Seal: keys, Subject: user,
		ReturnURL: frontend + "/doctor/settings/integration", OnConnect: visits.Connected,
	})
	// It listens behind the proxy that logs people in.
	listener, err3 := net.Listen("tcp", cmp.Or(env("LISTEN"), "127.0.0.1:3001"))
	if err := errors.Join(err1, err2, err3, st.CreateTables(ctx, schema)); err != nil {
		return fmt.Errorf("FRONTEND_URL, LISTEN or the database: %w", err)
	}

	mux := http.NewServeMux()
	mux.Handle("/api/auth/{provider}/doctor/{action}", accounts)
	mux.Handle("/api/payments/{action}", visits.Payments())
	mux.Handle("/api/whatsapp", chat.Reports(visits.Report))
	mux.Handle("/socket.io/", live)
	for m, page := range map[string]visit.Change[*sqlstore.Tx]{"PUT": book, "PATCH": move, "DELETE": cancel, "GET": show} {
		mux.Handle(m+" /api/appointments/{id}", visit.Handler(visits, st.InTx, user, page))
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	// Run returns when ctx has ended and what is under way is written down; then the rest ends.
	return errors.Join(visits.Run(ctx), telemed.Shutdown(10*time.Second, live, server, google, zoom, mail), db.Close())
}

// user is who the proxy says is logged in: it sets the header over whatever a browser sent.
func user(r *http.Request) (string, error) { return r.Header.Get("X-Forwarded-User"), nil }

// What a page does below is one transaction: the clinic's own row and the visit, or neither.

func book(r *http.Request, tx *sqlstore.Tx, visits visit.Writer, user, id string) error {
	start, _ := time.Parse(time.RFC3339, r.FormValue("start")) // Book refuses none
	tx.ExecOne(r.Context(), `INSERT INTO appointments (id, patient, start) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET id = $1 WHERE appointments.patient = $2`, id, user, start)
	return visits.Book(r.Context(), visit.Request{
		ID: id, Tenant: "lotus", Doctor: doctors[r.FormValue("doctor")], Provider: r.FormValue("provider"),
		Start: start, Duration: 30 * time.Minute, Price: payments.INR(50000),
		Patient: visit.Patient{Name: r.FormValue("name"), Email: r.FormValue("email"), Phone: r.FormValue("phone"),
			Zone: r.FormValue("zone")},
	})
}

func move(r *http.Request, tx *sqlstore.Tx, visits visit.Writer, user, id string) error {
	start, _ := time.Parse(time.RFC3339, r.FormValue("start"))
	tx.ExecOne(r.Context(), `UPDATE appointments SET start = $1 WHERE id = $2 AND patient = $3`, start, id, user)
	return visits.Move(r.Context(), id, start)
}

func cancel(r *http.Request, tx *sqlstore.Tx, visits visit.Writer, user, id string) error {
	tx.ExecOne(r.Context(), `UPDATE appointments SET cancelled = TRUE WHERE id = $1 AND patient = $2`, id, user)
	return visits.Cancel(r.Context(), id, visit.ByPatient)
}

func show(r *http.Request, tx *sqlstore.Tx, _ visit.Writer, user, id string) error {
	// Another one's is sql.ErrNoRows, and 404.
	return tx.QueryRowContext(r.Context(), `SELECT id FROM appointments WHERE id=$1 AND patient=$2`, id, user).Scan(&id)
}
