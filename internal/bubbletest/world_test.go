package bubbletest

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

const (
	doctor      = "dr-rao"
	application = "http://127.0.0.1:3001"
)

// world is the five providers and the place where an application is, all in memory.
type world struct {
	google   *googlemeettest.Server
	zoom     *zoomtest.Server
	razorpay *razorpaytest.Server
	mail     *smtptest.Server
	whatsapp *whatsapptest.Server

	door atomic.Pointer[fake.Listener] // of the application, closed while it is away
}

// newWorld starts the providers. It is called in the bubble, and all that it starts ends
// with t.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	// A transport without idle connections: those to an application that was killed would
	// be found dead at the next delivery, which net/http then repeats by itself.
	toApplication := &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.dialApplication},
	}
	w.google = googlemeettest.NewServer(t, googlemeettest.Config{InMemory: true, HTTPClient: toApplication})
	w.zoom = zoomtest.NewServer(t, zoomtest.Config{InMemory: true, HTTPClient: toApplication})
	w.razorpay = razorpaytest.NewServer(t, razorpaytest.Config{
		InMemory: true, HTTPClient: toApplication, WebhookURL: application + "/payments/webhook", PendingRefunds: true,
	})
	w.mail = smtptest.NewServer(t, smtptest.Config{Addr: "127.0.0.1:587", InMemory: true})
	w.whatsapp = whatsapptest.NewServer(t, whatsapptest.Config{
		InMemory: true, HTTPClient: toApplication, WebhookURL: application + "/whatsapp", Statuses: []string{"sent", "delivered"},
	})
	return w
}

// open lets an application answer. The function that it returns kills it: all
// connections end in the middle, and no further one is made.
func (w *world) open(t *testing.T, handler http.Handler) (kill func()) {
	t.Helper()
	door, err := fake.Listen("127.0.0.1:3001", true)
	require.NoError(t, err)
	server := &http.Server{Handler: handler}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(door) // ends with the door
	}()
	w.door.Store(door)
	return func() {
		_ = door.Close()
		_ = server.Close()
		<-served
	}
}

func (w *world) dialApplication(ctx context.Context, network, addr string) (net.Conn, error) {
	return w.door.Load().Dial(ctx, network, addr)
}

// connect puts the doctor's tokens into the store, after a consent on the provider's page.
func connect(t *testing.T, tokens store.TokenStore, provider oauth.Provider, allow func(string) (string, error)) {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	back, err := allow(provider.AuthCodeURL("state", verifier))
	require.NoError(t, err)
	u, err := url.Parse(back)
	require.NoError(t, err)
	token, err := provider.Exchange(t.Context(), u.Query().Get("code"), verifier)
	require.NoError(t, err)
	require.NoError(t, store.Set(t.Context(), tokens, store.AccountID{Provider: provider.Name, Subject: doctor}, token))
}
