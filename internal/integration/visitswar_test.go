package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// visitDoctors is how many doctors there are. Even ones have Google, the others Zoom.
const visitDoctors = 24

// visitsWar is processes that are one clinic, and are killed and frozen.
type visitsWar struct {
	*rowsWar
	app      application
	queue    *outbox.Outbox // to look into
	gateway  *razorpay.Client
	google   *googlemeettest.Server
	zoom     *zoomtest.Server
	razorpay *razorpaytest.Server
	mail     *smtptest.Server
	whatsapp *whatsapptest.Server
	desk     *httptest.Server
	client   *http.Client
	lost     atomic.Int64 // answers to processes that were dead

	mu        sync.Mutex
	addresses map[string]string // of processes
	shown     map[string][]shown
	stuck     []string
	visits    []*warVisit

	paid, wished int // so many of visits
}

// warVisit is what the test wants of a visit.
type warVisit struct {
	n       int
	id      string
	request visit.Request
	start   time.Time // where it is now
	wished  time.Time // when it was moved or cancelled
}

// What becomes of a visit.
const (
	visitKept = iota
	visitMoved
	visitCancelled
	visitKeptToo // a booking of another one is rolled back before
	visitFates
)

func (v *warVisit) fate() int        { return v.n % visitFates }
func (v *warVisit) takesPlace() bool { return v.fate() != visitCancelled }
func (v *warVisit) email() string    { return v.id + "@example.org" }
func (v *warVisit) phone() string    { return fmt.Sprintf("+9198765%05d", v.n) }
func doctorOf(n int) string          { return "dr-" + strconv.Itoa(n%visitDoctors) }
func providerOf(n int) string        { return []string{"google", "zoom"}[n%2] }

func newVisitsWar(t *testing.T, d database, hits int) *visitsWar {
	t.Helper()
	w := &visitsWar{
		rowsWar:   &rowsWar{T: t, random: rand.New(rand.NewPCG(7, 7)), frozen: map[string]time.Time{}, hits: map[string][]hit{}},
		addresses: map[string]string{}, shown: map[string][]shown{}, client: &http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{}},
	}
	w.desk = httptest.NewServer(w.deskHandler())
	t.Cleanup(w.desk.Close)
	t.Cleanup(w.client.CloseIdleConnections)
	w.providers()
	w.fleet = &fleet{dead: map[string]time.Time{}, gave: map[string]bool{}, cfg: childConfig{Visits: &visitsConfig{
		Env: w.environ(), Desk: w.desk.URL, Appointments: "appointments_" + strings.ToLower(randomText()), Hours: hits/visitDoctors + 2,
	}}}
	w.database(d)
	var err error
	w.app, err = w.cfg.application()
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.app.end() })
	w.connect()
	nobody := notify.NotifierFunc(func(context.Context, notify.Message) (*notify.Receipt, error) { panic("the test sends nothing") })
	w.queue, err = outbox.New(outbox.Config{Store: w.app.rows, Kind: visit.MessagesKind, Channels: map[notify.Channel]notify.Notifier{notify.Email: nobody}})
	require.NoError(t, err)
	w.gateway, err = razorpay.New(razorpay.FromEnv(func(name string) string { return w.cfg.Visits.Env[name] }))
	require.NoError(t, err)
	for range fleetSize - 1 {
		w.running = append(w.running, w.join())
	}
	return w
}

func randomText() string { return fmt.Sprintf("%012x", rand.Uint64()>>16) }

// database has the children's tables made.
func (w *visitsWar) database(d database) {
	w.Helper()
	if d.driver == "" {
		w.cfg.Visits.Mongo = d.dsn(w.T)
		return
	}
	dsn := d.dsn(w.T)
	db := d.open(w.T, dsn)
	tables := d.tables(w.T, db)
	own := w.cfg.Visits.Appointments
	_, err := db.ExecContext(w.Context(), "CREATE TABLE "+own+" (id VARCHAR(64) PRIMARY KEY)")
	require.NoError(w, err)
	w.Cleanup(func() {
		_, err := db.ExecContext(context.WithoutCancel(w.Context()), "DROP TABLE "+own)
		require.NoError(w, err)
	})
	w.cfg.Driver, w.cfg.Dialect, w.cfg.DSN = d.driver, d.dialect, dsn
	w.cfg.Table, w.cfg.ClaimsTable, w.cfg.RowsTable = tables.Table, tables.ClaimsTable, tables.RowsTable
}

// wireMongo is the wire server of package mongostore's tests, in a process of its own. It
// proves our code, and not MongoDB.
func wireMongo(t *testing.T) string {
	t.Helper()
	program := t.TempDir() + "/serve"
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, "./store/mongostore")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	server := exec.CommandContext(t.Context(), program)
	server.Env = append(os.Environ(), "TELEMED_MONGOSTORE_SERVE=1")
	_, err = server.StdinPipe()
	require.NoError(t, err)
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Wait() })
	uri, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(uri)
}

// providers starts the five of them.
func (w *visitsWar) providers() {
	var users []zoomtest.User
	for n := range visitDoctors {
		users = append(users, zoomtest.User{ID: "u-" + doctorOf(n), AccountID: "a-clinic", Email: doctorOf(n) + "@lotus.example", Name: doctorOf(n)})
	}
	w.google = googlemeettest.NewServer(w.T)
	w.zoom = zoomtest.NewServer(w.T, zoomtest.Config{Users: users})
	w.razorpay = razorpaytest.NewServer(w.T, razorpaytest.Config{WebhookURL: w.desk.URL + "/app/payments/webhook"})
	w.mail = smtptest.NewServer(w.T, smtptest.Config{Username: "care", Password: "mail-password"})
	w.whatsapp = whatsapptest.NewServer(w.T, whatsapptest.Config{
		WebhookURL: w.desk.URL + "/app/whatsapp", Statuses: []string{"sent", "delivered"}, HTTPClient: &http.Client{Timeout: time.Minute},
	})
}

func (w *visitsWar) environ() map[string]string {
	slow := func(address string) string { return slowURL(w.T, address, effectTime, &w.lost) }
	host, port, err := net.SplitHostPort(slowly(w.T, w.mail.Addr(), effectTime, &w.lost))
	require.NoError(w, err)
	return map[string]string{
		"GOOGLE_CLIENT_ID": w.google.ClientID(), "GOOGLE_CLIENT_SECRET": w.google.ClientSecret().Reveal(),
		"GOOGLE_REDIRECT_URI": "http://127.0.0.1:3001/google", "GOOGLE_BASE_URL": slow(w.google.URL()),
		"ZOOM_CLIENT_ID": w.zoom.ClientID(), "ZOOM_CLIENT_SECRET": w.zoom.ClientSecret().Reveal(),
		"ZOOM_REDIRECT_URI": "http://127.0.0.1:3001/zoom", "ZOOM_BASE_URL": slow(w.zoom.URL()),
		"RAZORPAY_KEY_ID": w.razorpay.KeyID(), "RAZORPAY_KEY_SECRET": w.razorpay.KeySecret().Reveal(),
		"RAZORPAY_WEBHOOK_SECRET": w.razorpay.WebhookSecret().Reveal(), "RAZORPAY_BASE_URL": slow(w.razorpay.URL()),
		"EMAIL_HOST": host, "EMAIL_PORT": port, "EMAIL_USER": "care", "EMAIL_PASS": "mail-password",
		"EMAIL_FROM": "Lotus Clinic <care@lotus.example>", "EMAIL_TLS_CA": string(w.mail.Certificate()),
		"WHATSAPP_PHONE_NUMBER_ID": w.whatsapp.PhoneNumberID(), "WHATSAPP_ACCESS_TOKEN": w.whatsapp.Token().Reveal(),
		"WHATSAPP_APP_SECRET": w.whatsapp.AppSecret().Reveal(), "WHATSAPP_BASE_URL": slow(w.whatsapp.URL()),
	}
}

// connect has each doctor connect an account.
func (w *visitsWar) connect() {
	w.Helper()
	env := func(name string) string { return w.cfg.Visits.Env[name] }
	google, err := googlemeet.New(googlemeet.FromEnv(env, w.app.tokens))
	require.NoError(w, err)
	zooms, err := zoom.New(zoom.FromEnv(env, w.app.tokens))
	require.NoError(w, err)
	for n := range visitDoctors {
		if providerOf(n) == "google" {
			w.consent(google.OAuth(), doctorOf(n), w.google.Authorize)
		} else {
			w.consent(zooms.OAuth(), doctorOf(n), func(to string) (string, error) { return w.zoom.AuthorizeAs(to, "u-"+doctorOf(n)) })
		}
	}
	require.NoError(w, google.Shutdown(w.Context()))
	require.NoError(w, zooms.Shutdown(w.Context()))
}

func (w *visitsWar) consent(provider oauth.Provider, doctor string, authorize func(string) (string, error)) {
	w.Helper()
	verifier := oauth2.GenerateVerifier()
	callback, err := authorize(provider.AuthCodeURL("state-"+doctor, verifier))
	require.NoError(w, err)
	address, err := url.Parse(callback)
	require.NoError(w, err)
	token, err := provider.Exchange(w.Context(), address.Query().Get("code"), verifier)
	require.NoError(w, err)
	require.NoError(w, store.Set(w.Context(), w.app.tokens, store.AccountID{Provider: provider.Name, Subject: doctor}, token))
}

// join starts one more process, and waits until it listens.
func (w *visitsWar) join() *process {
	w.Helper()
	p := w.start(w.T, true)
	r, ok := <-p.reports
	require.True(w, ok, "%s", &p.stderr)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addresses[p.name] = r.Address
	return p
}

// deskHandler is what processes ask of the test, and the way of providers to a process.
func (w *visitsWar) deskHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /evidence", func(rw http.ResponseWriter, r *http.Request) {
		if len(w.mails(r.FormValue("reference"))) == 0 {
			rw.WriteHeader(http.StatusNotFound)
		}
	})
	mux.HandleFunc("POST /live", func(_ http.ResponseWriter, r *http.Request) {
		var e shown
		var about struct{ ID string }
		if json.NewDecoder(r.Body).Decode(&e) == nil && json.Unmarshal(e.Data, &about) == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.shown[about.ID] = append(w.shown[about.ID], e)
		}
	})
	mux.HandleFunc("POST /stuck", func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stuck = append(w.stuck, string(text))
	})
	mux.HandleFunc("/app/", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		status, answer := w.ask(r.Method, strings.TrimPrefix(r.URL.Path, "/app"), r.Header, body)
		rw.WriteHeader(status)
		_, _ = rw.Write(answer)
	})
	return mux
}

// ask asks one process after the other, as a proxy before them does, until one answers.
func (w *visitsWar) ask(method, path string, header http.Header, body []byte) (status int, answer []byte) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		to := ""
		w.mu.Lock()
		for _, address := range w.addresses { // in any order
			to = address
			break
		}
		w.mu.Unlock()
		status, answer = w.once(method, to+path, header, body)
		if status != 0 && status != http.StatusServiceUnavailable {
			return status, answer
		}
	}
	return http.StatusBadGateway, []byte("no process answers")
}

func (w *visitsWar) once(method, address string, header http.Header, body []byte) (int, []byte) {
	req, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header = header.Clone()
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, nil // it is killed or frozen
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// mails are those with a reference.
func (w *visitsWar) mails(reference string) (all []smtptest.Message) {
	for _, m := range w.mail.Messages() {
		if m.Header.Get(referenceHeader) == reference {
			all = append(all, m)
		}
	}
	return all
}
