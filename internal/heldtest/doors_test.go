package heldtest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/realtime/sse"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
)

// door is a handler and the head of a request to it.
type door struct {
	method, path string
	serve        http.HandlerFunc
}

// handlers are all of the module. The name of each begins with that of its function.
func handlers(t *testing.T) map[string]door {
	t.Helper()
	found := map[string]door{}
	add := func(name string, h http.Handler, path string, methods ...string) {
		for _, method := range methods {
			found[name+", "+method] = door{method, path, h.ServeHTTP}
		}
	}
	c := connector(t)
	mux := http.NewServeMux()
	mux.Handle("/{provider}/{action}", c)
	for _, action := range []string{"connect", "callback", "status", "disconnect", "events", "nothing"} {
		add("connect.Connector.ServeHTTP, "+action, mux, "/test/"+action+"?state=x&code=y", "GET", "POST", "PUT")
	}

	z, p, w, gateway := webhooks(t)
	add("zoom.Webhook.ServeHTTP", z, "/", "GET", "POST")
	add("payments.Webhook.ServeHTTP", p, "/", "GET", "POST")
	add("whatsapp.Webhook.ServeHTTP", w, "/", "GET", "POST", "PUT")
	add("razorpay.Client.ParseCallback", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := gateway.ParseCallback(w, r); err != nil {
			http.Error(w, "not paid", http.StatusBadRequest)
		}
	}), "/", "GET", "POST")

	v := visits(t, gateway)
	page := visit.Handler(v, func(context.Context, func(durable.Store) error) error { return telemed.ErrUnavailable }, loggedIn, nil)
	add("visit.Handler", page, "/", "GET", "POST", "PUT", "DELETE")
	nobody := func(*http.Request) (string, error) { return "", nil }
	add("visit.Handler, nobody", visit.Handler[durable.Store](v, nil, nobody, nil), "/", "GET", "PUT")
	add("visit.Visits.Callback", v.Callback(), "/", "GET", "POST")
	add("visit.Visits.PaymentWebhook", v.PaymentWebhook(), "/", "GET", "POST")
	add("visit.Visits.TimelineHandler", v.TimelineHandler(), "/", "GET", "POST")
	acts := http.NewServeMux()
	acts.Handle("/{action}", v.Payments())
	for _, action := range []string{"callback", "webhook", "nothing"} {
		add("visit.Visits.Payments, "+action, acts, "/"+action, "GET", "POST")
	}

	add("template.Set.Preview", preview(), "/", "GET", "POST")

	s, sid := live(t)
	for what, query := range map[string]string{
		"a session": "EIO=4&transport=polling&sid=" + sid, "an unknown session": "EIO=4&transport=polling&sid=x",
		"no session": "EIO=4&transport=polling", "a WebSocket": "EIO=4&transport=websocket", "nonsense": "x",
	} {
		add("socketio.Server.ServeHTTP, "+what, s, "/socket.io/?"+query, "GET", "POST", "OPTIONS", "PUT")
	}
	add("sse.Handler.ServeHTTP", stream(t), "/live?room=clinic-1", "GET", "POST", "OPTIONS", "PUT")
	return found
}

// bodiless are the functions that an application calls in a handler of its own. They have
// no use for the body, which stays the application's.
var bodiless = []string{
	"connect.Connector.Begin", "connect.Connector.Finish", "realtime.Hub.Authenticate",
}

func insideOthers(t *testing.T) map[string]func(http.ResponseWriter, *http.Request) {
	t.Helper()
	c := connector(t)
	hub, err := realtime.NewHub(realtime.Config{})
	require.NoError(t, err)
	calls := map[string]func(http.ResponseWriter, *http.Request){
		"connect.Connector.Begin":   func(w http.ResponseWriter, r *http.Request) { _, _ = c.Begin(w, r, "test", "") },
		"connect.Connector.Finish":  func(w http.ResponseWriter, r *http.Request) { _, _ = c.Finish(w, r, "test") },
		"realtime.Hub.Authenticate": func(_ http.ResponseWriter, r *http.Request) { _, _ = hub.Authenticate(r) },
	}
	for _, name := range bodiless {
		require.Contains(t, calls, name)
	}
	return calls
}

func connector(t *testing.T) *connect.Connector {
	t.Helper()
	keyring, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	events := func(oauth.EventsConfig) (http.Handler, error) {
		return zoom.NewWebhook(zoom.WebhookConfig{
			Secrets: []telemed.Secret{telemed.NewSecret("secret")}, Handle: func(context.Context, zoom.Event) error { return nil },
		})
	}
	c, err := connect.New(connect.Config{
		Providers: []oauth.Provider{{
			Name: "test", ClientID: "c", ClientSecret: telemed.NewSecret("s"), RedirectURL: "https://clinic.example/callback",
			AuthURL: "https://provider.example/authorize", TokenURL: "https://provider.example/token", AuthStyle: oauth2.AuthStyleInParams,
			Events: events,
		}},
		Tokens: store.NewMemory(), Seal: keyring, ReturnURL: "https://clinic.example/settings",
		Subject: func(*http.Request) (string, error) { return "dr-rao", nil },
	})
	require.NoError(t, err)
	return c
}

func loggedIn(*http.Request) (string, error) { return "asha", nil }

// preview is made once: reading templates takes a while.
var preview = sync.OnceValue(func() http.Handler {
	set, err := template.New(template.Config{Clinic: "Lotus", Zone: time.UTC})
	if err != nil {
		panic(err)
	}
	return set.Preview()
})

// words is a Renderer that makes none: reading templates takes a while.
type words struct{}

func (words) Render(notify.Message) (*notify.Content, error) { return nil, telemed.ErrInvalid }

func visits(t *testing.T, gateway *razorpay.Client) *visit.Visits {
	t.Helper()
	v, err := visit.New(visit.Config{
		Store: durable.NewMemory(), Clinic: "Lotus", Zone: "Asia/Kolkata", Gateway: gateway, ReturnURL: "https://clinic.example/visits", Renderer: words{},
	})
	require.NoError(t, err)
	return v
}

func webhooks(t *testing.T) (*zoom.Webhook, *payments.Webhook, *whatsapp.Webhook, *razorpay.Client) {
	t.Helper()
	secrets := []telemed.Secret{telemed.NewSecret("secret")}
	z, err := zoom.NewWebhook(zoom.WebhookConfig{Secrets: secrets, Handle: func(context.Context, zoom.Event) error { return nil }})
	require.NoError(t, err)
	gateway, err := razorpay.New(razorpay.Config{KeyID: "rzp_test_x", KeySecret: telemed.NewSecret("another"), WebhookSecrets: secrets})
	require.NoError(t, err)
	p, err := payments.NewWebhook(payments.WebhookConfig{
		Parser: gateway, Handle: func(context.Context, payments.Event) error { return nil },
	})
	require.NoError(t, err)
	w, err := whatsapp.NewWebhook(whatsapp.WebhookConfig{
		Secrets: secrets, VerifyToken: secrets[0], Handle: func(context.Context, whatsapp.Event) error { return nil },
	})
	require.NoError(t, err)
	return z, p, w, gateway
}

// live is a server with one session that polls.
func hub(t *testing.T) *realtime.Hub {
	t.Helper()
	hub, err := realtime.NewHub(realtime.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hub.Shutdown(context.Background())) })
	return hub
}

// stream serves Server-Sent Events of rooms that nobody may join.
func stream(t *testing.T) *sse.Handler {
	t.Helper()
	h, err := sse.New(sse.Config{Hub: hub(t)})
	require.NoError(t, err)
	return h
}

func live(t *testing.T) (server *socketio.Server, sid string) {
	t.Helper()
	server, err := socketio.New(socketio.Config{Hub: hub(t)})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling", nil))
	var opened struct{ SID string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes()[1:], &opened))
	return server, opened.SID
}
