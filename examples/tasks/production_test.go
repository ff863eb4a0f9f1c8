package tasks_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// Keys seal tokens, rows, claims and cookies. They are kept apart from the database and its
// backups; without them every doctor must connect again. To change one takes three deploys:
// append the new one; put it first, and Reseal; drop the old one.
func Example_productionKeys() {
	ctx, table := context.Background(), store.NewMemory()
	env := map[string]string{"CLINIC_KEY": store.NewKey().Reveal()} // openssl rand -base64 32
	tokens := func() store.TokenStore {
		keys, err := store.KeyringFromEnv(func(name string) string { return env[name] }, "CLINIC_KEY")
		if err != nil {
			log.Fatal(err) // names CLINIC_KEY
		}
		return store.Sealed(table, keys) // sqlstore and mongostore have Config.Seal
	}
	doctor := store.AccountID{Provider: "zoom", Subject: "dr-rao"}
	if err := store.Set(ctx, tokens(), doctor, store.Token{Refresh: telemed.NewSecret("refresh")}); err != nil {
		log.Fatal(err)
	}
	old, recent := env["CLINIC_KEY"], store.NewKey().Reveal()
	env["CLINIC_KEY"] = old + "," + recent
	_, err := tokens().Get(ctx, doctor)
	fmt.Println("1 every process can open what the new key will seal:", err)
	env["CLINIC_KEY"] = recent + "," + old
	n, err := store.Reseal(ctx, tokens())
	fmt.Println("2 the new key seals, and has sealed again:", n, err)
	env["CLINIC_KEY"] = recent
	_, err = tokens().Get(ctx, doctor)
	fmt.Println("3 without the old one:", err)
	// Output:
	// 1 every process can open what the new key will seal: <nil>
	// 2 the new key seals, and has sealed again: 1 <nil>
	// 3 without the old one: <nil>
}

// told is a part of an application that says when it is shut down.
type told struct {
	name string
	part interface{ Shutdown(context.Context) error }
}

func (b told) Shutdown(ctx context.Context) error {
	fmt.Println("shut down:", b.name)
	return b.part.Shutdown(ctx)
}

// Behind a proxy, and ended by a deploy. The proxy
//
//   - ends TLS, and replaces the header that says who is logged in
//   - passes Upgrade for /socket.io/, and waits there for longer than PingInterval, 25 s
//   - leaves bodies as they are: signatures are over their bytes
//   - bounds requests, and connections, of one address
//   - sends a browser to one process always, or clients begin with a WebSocket; the processes
//     share a realtime.Journal (realtime/redisstream)
//
// The orchestrator waits after SIGTERM for longer than visit.Config.Grace and the limit of
// telemed.Shutdown together: 30 s here.
func Example_productionServer() {
	env := map[string]string{"CORS_ORIGIN": "https://lotus.example"} // where the pages are
	user := func(r *http.Request) (string, error) { return r.Header.Get("X-Forwarded-User"), nil }
	mayWatch := func(context.Context, realtime.Client, string) error { return telemed.ErrForbidden }
	sockets := socketio.FromEnv(func(name string) string { return env[name] }, user, mayWatch)
	sockets.AllowedHosts = []string{"api.lotus.example"}
	live, err := socketio.New(sockets)
	if err != nil {
		log.Fatal(err)
	}
	// No WriteTimeout: it would cut polls and sockets. The leaves' clients have 30 s of their own,
	// and a webhook is answered in time whatever its handler does. The database's pool has limits.
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	visits, err := visit.New(visit.Config{
		Store: durable.NewMemory(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Live: live, Grace: 15 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background()) // signal.NotifyContext of SIGTERM
	stop()
	fmt.Println("run has written down what was under way:", visits.Run(ctx))
	err = telemed.Shutdown(10*time.Second, told{"sockets, which the server would wait for", live}, told{"server", server})
	fmt.Println("then google, zoom and mail; the database last:", err)
	// Output:
	// run has written down what was under way: <nil>
	// shut down: sockets, which the server would wait for
	// shut down: server
	// then google, zoom and mail; the database last: <nil>
}

// Somebody is told of
//
//   - what is stuck, when it gets stuck and when a process starts
//   - effects that go on failing, and each ErrUnauthorized: a key of ours was refused
//   - oauth.Tuning.OnBreaker: a provider rejects tokens of many doctors at once
//   - fulfill.NoticeNoWebhook: payments are found by sweeps only
//   - realtime.Stats: Slow, Refused and Gaps that grow
//
// Metrics and traces of all this are in examples/otel.
func Example_productionAlerts() {
	ctx, mail, failed := context.Background(), &notifytest.Recorder{}, map[string]int{}
	visits, err := visit.New(visit.Config{
		Store: durable.NewMemory(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Mail: mail,
		OnStuck: func(s visit.Stuck) { fmt.Println("page somebody:", s.ID, s.Why) },
		Observe: func(e durable.Event) {
			if e.Err != nil {
				failed[e.ID.Kind+" "+e.Effect]++ // a counter of yours, by kind and effect
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mail.FailNext(notifytest.OpNotify, telemed.ErrUnavailable)
	err = visits.Book(ctx, visit.Request{
		ID: "appt-42", Start: time.Now().Add(72 * time.Hour), Duration: 30 * time.Minute,
		Doctor: visit.Doctor{ID: "dr-rao", Name: "Dr Meera Rao"}, Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org"},
	})
	for range 2 { // visits.Run, in an application
		if _, err := visits.Step(ctx, "appt-42"); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("failed, and tried again later:", failed, err)
	for stuck, err := range visits.Stuck(ctx) {
		fmt.Println("stuck:", stuck.ID, err)
	}
	// Output:
	// failed, and tried again later: map[visit-messages send:1] <nil>
}

// Rows are deleted Config.Keep after the visit, while Run runs. A daily job calls PurgeClaims
// of the store, and KeepAlive of each client's Tokens: an account that nobody uses lapses at
// its provider. Who asks to be forgotten is erased once the visit is over.
func Example_productionRetention() {
	ctx := context.Background()
	visits, err := visit.New(visit.Config{
		Store: durable.NewMemory(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Mail: &notifytest.Recorder{},
		Keep: 3 * 365 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	err = visits.Book(ctx, visit.Request{
		ID: "appt-42", Start: time.Now().Add(72 * time.Hour), Duration: 30 * time.Minute,
		Doctor: visit.Doctor{ID: "dr-rao", Name: "Dr Meera Rao"}, Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org"},
	})
	fmt.Println("booked:", err)
	fmt.Println("too early:", visits.Erase(ctx, "appt-42"))
	fmt.Println("cancelled:", visits.Cancel(ctx, "appt-42", visit.ByClinic))
	fmt.Println("erased:", visits.Erase(ctx, "appt-42"))
	known, err := visits.Get(ctx, "appt-42")
	fmt.Printf("%q %q %v\n", known.Patient.Name, known.Patient.Email, err)
	// Output:
	// booked: <nil>
	// too early: visit: Erase: it is to take place: conflict with the current state
	// cancelled: <nil>
	// erased: <nil>
	// "" "" <nil>
}
