package integration_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/zoom"
)

// visitsConfig is set for a process that is an application with visits.
type visitsConfig struct {
	// Env has the variables of the leaves.
	Env map[string]string
	// Desk is where the test looks on: evidence of mails, the dashboard, what is stuck.
	Desk string
	// Mongo is the database's URI, if it is none of database/sql.
	Mongo string
	// Appointments is the application's own table.
	Appointments string
	// Hours is how many hours reminders may be apart from the first one.
	Hours int
}

const (
	// evidenceWait is longer than any freeze.
	evidenceWait = 12 * time.Second
	// referenceHeader is what the evidence of a mail is found by.
	referenceHeader = "X-Message-Reference"
)

// application is what a database has for a process.
type application struct {
	tokens interface {
		store.TokenStore
		store.Claims
	}
	rows durable.Store
	// inTx runs do in the application's own transaction.
	inTx func(ctx context.Context, do func(page) error) error
	has  func(ctx context.Context, id string) (bool, error) // an appointment
	end  func() error
}

// page is what a page does in one transaction.
type page struct {
	durable.Store
	ctx    context.Context
	insert func(ctx context.Context, id string) error // an appointment
}

func (c childConfig) application() (application, error) {
	if c.Visits.Mongo != "" {
		return c.onMongo()
	}
	db, err := sql.Open(c.Driver, c.DSN)
	if err != nil {
		return application{}, err
	}
	db.SetMaxOpenConns(6)
	st, err := sqlstore.New(sqlstore.Config{
		DB: db, Dialect: c.Dialect, Table: c.Table, ClaimsTable: c.ClaimsTable, RowsTable: c.RowsTable, InsecureClear: true,
	})
	if err != nil {
		return application{}, err
	}
	statement, table := "INSERT INTO %s (id) VALUES ('%s') ON CONFLICT DO NOTHING", c.Visits.Appointments
	if c.Dialect == sqlstore.MySQL {
		statement = "INSERT IGNORE INTO %s (id) VALUES ('%s')"
	}
	return application{
		tokens: st, rows: st.Rows(), end: db.Close,
		inTx: func(ctx context.Context, do func(page) error) error {
			return st.InTx(ctx, func(tx *sqlstore.Tx) error {
				return do(page{tx, ctx, func(ctx context.Context, id string) error {
					_, err := tx.ExecContext(ctx, fmt.Sprintf(statement, table, id))
					return err
				}})
			})
		},
		has: func(ctx context.Context, id string) (found bool, err error) {
			var n int
			err = db.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE id = '%s'", table, id)).Scan(&n)
			return n > 0, err
		},
	}, nil
}

func (c childConfig) onMongo() (application, error) {
	client, err := mongo.Connect(options.Client().ApplyURI(c.Visits.Mongo))
	if err != nil {
		return application{}, err
	}
	st, err := mongostore.New(mongostore.Config{Database: client.Database("hospital"), InsecureClear: true})
	if err != nil {
		return application{}, err
	}
	appointments := client.Database("hospital").Collection(c.Visits.Appointments)
	has := func(ctx context.Context, id string) (bool, error) {
		err := appointments.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Err()
		if errors.Is(err, mongo.ErrNoDocuments) {
			return false, nil
		}
		return err == nil, err
	}
	insert := func(ctx context.Context, id string) error {
		there, err := has(ctx, id)
		if !there && err == nil {
			_, err = appointments.InsertOne(ctx, bson.D{{Key: "_id", Value: id}})
		}
		return err
	}
	return application{
		tokens: st, rows: st.Rows(), end: func() error { return client.Disconnect(context.Background()) },
		inTx: func(ctx context.Context, do func(page) error) error {
			session, err := client.StartSession()
			if err != nil {
				return err
			}
			defer session.EndSession(context.WithoutCancel(ctx))
			_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
				return nil, do(page{st.Rows(), ctx, insert})
			})
			return err
		},
		has: has,
	}, nil
}

// clinic is the leaves and the visits of a process.
type clinic struct {
	visits *visit.Visits
	google *googlemeet.Client
	zoom   *zoom.Client
	chat   *whatsapp.Client
	mail   *smtp.Client
}

func (c childConfig) clinic(app application, logger *slog.Logger) (*clinic, error) {
	env := func(name string) string { return c.Visits.Env[name] }
	mails := smtp.FromEnv(env)
	mails.ReferenceHeader = referenceHeader + ": %s"
	google, err1 := googlemeet.New(googlemeet.FromEnv(env, app.tokens))
	zooms, err2 := zoom.New(zoom.FromEnv(env, app.tokens))
	gateway, err3 := razorpay.New(razorpay.FromEnv(env))
	mail, err4 := smtp.New(mails)
	chat, err5 := whatsapp.New(whatsapp.FromEnv(env))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	var reminders []time.Duration
	for n := range c.Visits.Hours {
		reminders = append(reminders, 24*time.Hour+time.Duration(n)*time.Hour)
	}
	desk := desk(c.Visits.Desk)
	visits, err := visit.New(visit.Config{
		Store: app.rows, Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", ReturnURL: "http://127.0.0.1:3001/visits", AccountsURL: "http://127.0.0.1:3001/settings",
		Meetings: map[string]meet.MeetingProvider{"google": google, "zoom": zooms}, Gateway: gateway, Mail: mail, WhatsApp: chat, Live: desk,
		Evidence: map[notify.Channel]notify.Evidence{notify.Email: desk}, EvidenceWait: evidenceWait, Spacing: 2 * time.Second, Reminders: reminders,
		Quiet: outbox.Quiet{From: time.Hour, Until: time.Hour}, Grace: rowsTTL / 2, Logger: logger,
		OnStuck: func(s visit.Stuck) { _ = desk.post(context.Background(), "/stuck", s) },
	})
	return &clinic{visits, google, zooms, chat, mail}, err
}

// desk is the test, as a process sees it.
type desk string

func (d desk) post(ctx context.Context, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, string(d)+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", telemed.ErrUnavailable, err)
	}
	return resp.Body.Close()
}

// shown is an event of the dashboard.
type shown struct {
	Room, Name string
	Data       json.RawMessage
}

// Broadcast implements realtime.Broadcaster.
func (d desk) Broadcast(ctx context.Context, room string, ev realtime.Event) error {
	message, err := ev.Encode()
	if err != nil {
		return err
	}
	return d.post(ctx, "/live", shown{room, ev.Name, message.Args[0]})
}

// Outcome implements notify.Evidence.
func (d desk) Outcome(ctx context.Context, reference string, _ time.Time) (notify.Outcome, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, string(d)+"/evidence?reference="+url.QueryEscape(reference), nil)
	if err != nil {
		return notify.OutcomeUnknown, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return notify.OutcomeUnknown, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return notify.OutcomeArrived, nil
	}
	return notify.OutcomeNotArrived, nil
}

// haveVisits is an application until the input ends.
func (c *child) haveVisits() error {
	app, err := c.application()
	if err != nil {
		return err
	}
	have, err := c.clinic(app, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: have.handler(app), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	c.write(report{Address: "http://" + listener.Addr().String()})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	err = have.visits.Run(ctx)
	err = errors.Join(err, telemed.Shutdown(10*time.Second, server, have.google, have.zoom, have.mail), app.end())
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// errRollback is that the application's own part of a transaction fails.
var errRollback = errors.New("the application changed its mind")

// handler has the pages of patients, and what providers call.
func (c *clinic) handler(app application) http.Handler {
	user := func(*http.Request) (string, error) { return "somebody", nil }
	mux := http.NewServeMux()
	for method, change := range map[string]visit.Change[page]{"PUT": bookPage, "PATCH": movePage, "DELETE": cancelPage, "GET": showPage} {
		mux.Handle(method+" /visits/{id}", visit.Handler(c.visits, app.inTx, user, change))
	}
	mux.Handle("/payments/{action}", c.visits.Payments())
	mux.Handle("/whatsapp", c.chat.Reports(c.visits.Report))
	return mux
}

func bookPage(r *http.Request, tx page, visits visit.Writer, _, id string) error {
	var req visit.Request
	if err := json.Unmarshal([]byte(r.FormValue("request")), &req); err != nil {
		return err
	}
	req.Price = payments.INR(50000)
	if err := tx.insert(tx.ctx, id); err != nil {
		return err
	}
	err := visits.Book(tx.ctx, req)
	if err == nil && r.FormValue("rollback") != "" {
		return errRollback
	}
	return err
}

func movePage(r *http.Request, tx page, visits visit.Writer, _, id string) error {
	start, err := time.Parse(time.RFC3339, r.FormValue("start"))
	if err != nil {
		return err
	}
	return visits.Move(tx.ctx, id, start)
}

func cancelPage(_ *http.Request, tx page, visits visit.Writer, _, id string) error {
	return visits.Cancel(tx.ctx, id, visit.ByClinic)
}

func showPage(*http.Request, page, visit.Writer, string, string) error { return nil }
