package whatsapptest_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// TestAdvance: a webhook that was not taken comes again by Meta's clock until its seven days
// are over. The window for free text ends by it too.
func TestAdvance(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	srv := whatsapptest.NewServer(t, whatsapptest.Config{
		InMemory: true, WebhookURL: "https://clinic.example/webhooks", Statuses: []string{"sent"},
		HTTPClient: &http.Client{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) != 1 { // the patient's message alone is taken
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})}},
	})
	chat, err := whatsapp.New(whatsapp.Config{
		BaseURL: srv.URL(), PhoneNumberID: srv.PhoneNumberID(), Token: srv.Token(), HTTPClient: srv.Client(),
	})
	require.NoError(t, err)
	const phone = "+919876543210"
	free := whatsapp.Outbound{To: phone, Content: whatsapp.Text("Your doctor is here.", false)}
	require.NoError(t, srv.SendText(t.Context(), phone, "Asha", "hello"))
	_, err = chat.Send(t.Context(), free)
	require.NoError(t, err)
	srv.Advance(time.Hour)
	after := asked.Load()
	require.Greater(t, after, int64(10), "pauses of 0.1, 0.2 … seconds fit into an hour")
	srv.Advance(8 * 24 * time.Hour)
	require.Greater(t, asked.Load(), after)
	require.NoError(t, srv.WaitWebhooks(t.Context()), "it was given up")
	_, err = chat.Send(t.Context(), free)
	require.Error(t, err)
	refused, ok := errors.AsType[*whatsapp.Error](err)
	require.True(t, ok)
	require.Equal(t, 131047, refused.Code)
}

// TestHeldStatuses: what is held waits for its release.
func TestHeldStatuses(t *testing.T) {
	t.Parallel()
	told := make(chan string, 9)
	srv := whatsapptest.NewServer(t, whatsapptest.Config{
		InMemory: true, WebhookURL: "https://clinic.example/webhooks", Statuses: []string{"sent", "read"},
		HTTPClient: &http.Client{Transport: direct{http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told <- "" })}},
	})
	chat, err := whatsapp.New(whatsapp.Config{
		BaseURL: srv.URL(), PhoneNumberID: srv.PhoneNumberID(), Token: srv.Token(), HTTPClient: srv.Client(),
	})
	require.NoError(t, err)
	srv.HoldWebhooks()
	_, err = chat.Notify(t.Context(), notify.Message{Key: "k", To: notify.Recipient{Phone: "+919876543210"}, Content: &notify.Content{
		WhatsApp: &notify.WhatsAppTemplate{Name: "payment_receipt", Language: "en", Body: []string{"Asha", "₹500.00", "City Clinic", "pay_1", "Monday"}},
	}})
	require.NoError(t, err)
	require.Len(t, srv.Held(), 2)
	require.Empty(t, told)
	srv.ReleaseWebhooks()
	require.NoError(t, srv.WaitWebhooks(t.Context()))
	require.Len(t, told, 2)
	require.Empty(t, srv.Held())
	require.Len(t, srv.Requests(), 1)
	require.False(t, srv.Requests()[0].At.IsZero())
	srv.FailNext(whatsapptest.Fault{Op: whatsapptest.OpMedia, Status: 500})
	require.Equal(t, []whatsapptest.Fault{{Op: whatsapptest.OpMedia, Status: 500}}, srv.Pending())
}
