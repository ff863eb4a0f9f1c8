package routers_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// app is what an application mounts, whatever its router.
type app struct {
	accounts    http.Handler // {provider}, {action}
	payments    http.Handler // {action}
	appointment http.Handler // {id}
	live        *socketio.Server

	zoom *zoomtest.Server
}

func newApp() *app {
	fake, err1 := zoomtest.Start(zoomtest.Config{})
	tokens, rows := store.NewMemory(), durable.NewMemory()
	z, err2 := zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(), Tokens: tokens,
		RedirectURL: "http://127.0.0.1:3001/api/auth/zoom/doctor/callback",
	})
	keys, err3 := store.NewKeyring(store.NewKey())
	user := func(*http.Request) (string, error) { return "dr-rao", nil } // from the session
	accounts, err4 := connect.New(connect.Config{
		Providers: []oauth.Provider{z.OAuth()}, Tokens: tokens, Seal: keys, Subject: user, ReturnURL: "http://127.0.0.1:5173/settings",
	})
	visits, err5 := visit.New(visit.Config{
		Store: rows, Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Gateway: paymentstest.NewGateway(), ReturnURL: "http://127.0.0.1:5173/visits",
	})
	live, err6 := socketio.New(socketio.Config{
		Authenticate: user, Authorize: func(context.Context, realtime.Client, string) error { return nil },
	})
	for _, err := range []error{err1, err2, err3, err4, err5, err6} {
		if err != nil {
			log.Fatal(err)
		}
	}
	inTx := func(_ context.Context, do func(durable.Store) error) error { return do(rows) }
	cancel := func(r *http.Request, _ durable.Store, visits visit.Writer, _, id string) error {
		return visits.Cancel(r.Context(), id, visit.ByPatient)
	}
	return &app{accounts, visits.Payments(), visit.Handler(visits, inTx, user, cancel), live, fake}
}

// visit asks the router what an application's pages and providers ask.
func (a *app) visit(router http.Handler) {
	defer a.zoom.Close()
	server := httptest.NewServer(router)
	defer server.Close()
	defer telemed.Shutdown(10*time.Second, a.live)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string) {
		r, err := http.NewRequest(method, server.URL+path, strings.NewReader("{}"))
		if err != nil {
			log.Fatal(err)
		}
		resp, err := browser.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		to, _, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Location"), a.zoom.URL()), "?")
		fmt.Println(strings.TrimSpace(fmt.Sprint(method, " ", path, " ", resp.StatusCode, " ", to)))
	}
	ask("GET", "/api/auth/zoom/doctor/connect")
	ask("GET", "/api/auth/zoom/doctor/status")
	ask("POST", "/api/payments/webhook")
	ask("DELETE", "/api/appointments/appt-42")

	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	dashboard, err := realtimetest.Dial(ctx, server.URL, realtimetest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer dashboard.Close()
	answer, err := dashboard.EmitAck(ctx, "join-clinic", "lotus")
	fmt.Printf("join-clinic %s %v\n", answer, err)
}
