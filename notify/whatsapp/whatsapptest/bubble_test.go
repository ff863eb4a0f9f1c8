package whatsapptest_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// direct sends requests to a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	d.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// TestStoryInABubble: Meta asks to wait, takes the message and says that it was read. It
// takes a while, and no time.
func TestStoryInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := make(chan struct{}, 9)
		webhook := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told <- struct{}{} })
		srv := whatsapptest.NewServer(t, whatsapptest.Config{
			InMemory: true, TLS: true, WebhookURL: "https://clinic.example/webhooks", Statuses: []string{"sent", "read"},
			HTTPClient: &http.Client{Transport: direct{webhook}},
		})
		chat, err := whatsapp.New(whatsapp.Config{
			BaseURL: srv.URL(), PhoneNumberID: srv.PhoneNumberID(), Token: srv.Token(),
			HTTPClient: srv.Client(),
		})
		require.NoError(t, err)
		msg := notify.Message{
			Key: "k", To: notify.Recipient{Phone: "+919876543210"},
			Content: &notify.Content{WhatsApp: &notify.WhatsAppTemplate{
				Name: "payment_receipt", Language: "en", Body: []string{"Asha", "₹500.00", "City Clinic", "pay_1", "Monday"},
			}},
		}
		begin := time.Now()
		limited := whatsapptest.Refuse("", 0, 130429, "")
		limited.Delay, limited.Times = 10*time.Second, 2
		srv.FailNext(limited)
		_, err = chat.Notify(t.Context(), msg)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(begin), 20*time.Second)
		got, err := srv.WaitFor(t.Context(), func(m whatsapptest.Message) bool { return m.To == "+919876543210" })
		require.NoError(t, err)
		require.Contains(t, got.Text, "₹500.00")
		<-told
		<-told
		require.Equal(t, 3, srv.Count(whatsapptest.OpSend))
		require.Contains(t, string(srv.Certificate()), "BEGIN CERTIFICATE")
		conn, err := srv.Dial(t.Context(), "tcp", "graph.facebook.com:443")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
}

// TestWebhooksOfAStubbornApplication: a status that is not taken comes again for seven
// days. Held ones come when the test says so, as often as it says so.
func TestWebhooksOfAStubbornApplication(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		webhook := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if !up.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		srv := whatsapptest.NewServer(t, whatsapptest.Config{
			InMemory: true, WebhookURL: "https://clinic.example/webhooks", Statuses: []string{"sent", "read"},
			HTTPClient: &http.Client{Transport: direct{webhook}},
		})
		chat, err := whatsapp.New(whatsapp.Config{
			BaseURL: srv.URL(), PhoneNumberID: srv.PhoneNumberID(), Token: srv.Token(), HTTPClient: srv.Client(),
		})
		require.NoError(t, err)
		msg := notify.Message{
			Key: "k", To: notify.Recipient{Phone: "+919876543210"},
			Content: &notify.Content{WhatsApp: &notify.WhatsAppTemplate{
				Name: "payment_receipt", Language: "en", Body: []string{"Asha", "₹500.00", "City Clinic", "pay_1", "Monday"},
			}},
		}
		_, err = chat.Notify(t.Context(), msg)
		require.NoError(t, err)
		time.Sleep(2 * 24 * time.Hour)
		up.Store(true)
		down := len(srv.Deliveries())
		require.NoError(t, srv.WaitWebhooks(t.Context()))
		require.Len(t, srv.Deliveries(), down+2)
		require.Equal(t, []int{200, 200}, []int{srv.Deliveries()[down].Status, srv.Deliveries()[down+1].Status})

		srv.HoldWebhooks()
		_, err = chat.Notify(t.Context(), msg)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		held := srv.Events()[2:]
		require.Equal(t, []string{"sent", "read"}, []string{held[0].Type, held[1].Type})
		require.Equal(t, srv.Messages()[1].ID, held[0].ID)
		require.Len(t, srv.Deliveries(), down+2)
		for _, e := range []whatsapptest.Event{held[1], held[0], held[1]} {
			status, err := srv.Deliver(t.Context(), e)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
		}
		require.Len(t, srv.Deliveries(), down+5)
	})
}
