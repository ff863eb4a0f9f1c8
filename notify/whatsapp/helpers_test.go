package whatsapp_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// The number that messages go to; no error and no log line may hold it.
const phone = "+919876500042"

func content() *notify.Content {
	return &notify.Content{WhatsApp: &notify.WhatsAppTemplate{
		Name: "payment_receipt", Language: "en",
		Body: []string{"Zkmark Rao", "₹500.00", "City Clinic", "pay_1", "Monday"},
	}}
}

func message(key string) notify.Message {
	return notify.Message{Key: key, To: notify.Recipient{Name: "Zkmark Rao", Phone: phone}, Content: content()}
}

// config is for a client of srv.
func config(srv *whatsapptest.Server) whatsapp.Config {
	return whatsapp.Config{
		PhoneNumberID: srv.PhoneNumberID(), Token: srv.Token(), BaseURL: srv.URL(),
		Attempts:   1,
		HTTPClient: &http.Client{Transport: http.DefaultTransport},
	}
}

func newClient(tb testing.TB, cfg whatsapp.Config) *whatsapp.Client {
	tb.Helper()
	client, err := whatsapp.New(cfg)
	require.NoError(tb, err)
	return client
}

// roundTripper is an API without a network, for tests in which time stands still.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return f(r)
}

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

const accepted = `{"messaging_product":"whatsapp","contacts":[{"input":"x"}],"messages":[{"id":"wamid.1"}]}`

func offline(tb testing.TB, change func(*whatsapp.Config), send roundTripper) *whatsapp.Client {
	tb.Helper()
	cfg := whatsapp.Config{PhoneNumberID: "1", Token: telemed.NewSecret("t"), HTTPClient: &http.Client{Transport: send}}
	if change != nil {
		change(&cfg)
	}
	return newClient(tb, cfg)
}
