package whatsapptest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
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
			AppSecrets: []telemed.Secret{srv.AppSecret()}, HTTPClient: srv.Client(),
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
