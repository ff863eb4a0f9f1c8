package whatsapptest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// refusal posts a message and returns the code and the details of Graph's answer.
func refusal(t *testing.T, srv *whatsapptest.Server, body string) (code int, details string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+"/v24.0/"+srv.PhoneNumberID()+"/messages", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+srv.Token().Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var envelope struct {
		Error struct {
			Code int
			Data struct{ Details string } `json:"error_data"`
		}
	}
	require.NoError(t, json.Unmarshal(data, &envelope), string(data))
	return envelope.Error.Code, envelope.Error.Data.Details
}

// TestLimitsOfInteractiveMessages: what is one too many is refused, and what is just enough
// is not.
func TestLimitsOfInteractiveMessages(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t, whatsapptest.Config{HTTPClient: taker, WebhookURL: "http://clinic.example/"})
	require.NoError(t, srv.SendText(t.Context(), "+919876543210", "Asha", "Hello"))
	x := func(n int) string { return strings.Repeat("ñ", n) }
	times := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	message := func(kind, frame, action string) string {
		return `{"messaging_product":"whatsapp","to":"919876543210","type":"interactive","interactive":{"type":"` + kind + `",` + frame + `"action":` + action + `}}`
	}
	const body = `"body":{"text":"b"},`
	buttons := func(n int) string {
		return `{"buttons":[` + times(n, `{"type":"reply","reply":{"id":"%[1]d","title":"%[1]d"}}`) + `]}`
	}
	button := func(id, title string) string {
		return `{"buttons":[{"type":"reply","reply":{"id":"` + id + `","title":"` + title + `"}}]}`
	}
	list := func(label, sections string) string {
		return `{"button":"` + label + `","sections":[` + sections + `]}`
	}
	row := func(id, title, description string) string {
		return `{"rows":[{"id":"` + id + `","title":"` + title + `","description":"` + description + `"}]}`
	}
	for name, c := range map[string]struct {
		fits, not, want string
	}{
		"buttons":     {message("button", body, buttons(3)), message("button", body, buttons(4)), "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3"},
		"no buttons":  {message("button", body, buttons(1)), message("button", body, buttons(0)), "Invalid buttons count"},
		"title":       {message("button", body, button("1", x(20))), message("button", body, button("1", x(21))), "Button title length invalid. Min length: 1, Max length: 20"},
		"no title":    {message("button", body, button("1", "x")), message("button", body, button("1", "")), "Button title length invalid"},
		"id":          {message("button", body, button(x(256), "x")), message("button", body, button(x(257), "x")), "Button id length invalid"},
		"same":        {message("button", body, buttons(2)), message("button", body, `{"buttons":[`+times(2, `{"reply":{"id":"%d","title":"x"}}`)+`]}`), "same id or title"},
		"body":        {message("button", `"body":{"text":"`+x(1024)+`"},`, buttons(1)), message("button", `"body":{"text":"`+x(1025)+`"},`, buttons(1)), "Body text length invalid. Min length: 1, Max length: 1024"},
		"empty body":  {message("list", `"body":{"text":"`+x(4096)+`"},`, list("x", row("1", "x", ""))), message("button", `"body":{"text":""},`, buttons(1)), "Body text length invalid"},
		"no body":     {message("catalog_message", "", `{"name":"catalog_message"}`), message("button", "", buttons(1)), "interactive['body']"},
		"header":      {message("button", body+`"header":{"type":"text","text":"`+x(60)+`"},`, buttons(1)), message("button", body+`"header":{"type":"text","text":"`+x(61)+`"},`, buttons(1)), "Header text length invalid. Min length: 1, Max length: 60"},
		"footer":      {message("button", body+`"footer":{"text":"`+x(60)+`"},`, buttons(1)), message("button", body+`"footer":{"text":"`+x(61)+`"},`, buttons(1)), "Footer text length invalid. Min length: 0, Max length: 60"},
		"rows":        {message("list", body, list("x", `{"rows":[`+times(10, `{"id":"%d","title":"x"}`)+`]}`)), message("list", body, list("x", times(11, `{"title":"t","rows":[{"id":"%d","title":"x"}]}`))), "count"},
		"rows in all": {message("list", body, list("x", times(2, `{"title":"t","rows":[{"id":"%d","title":"x"}]}`))), message("list", body, list("x", `{"rows":[`+times(11, `{"id":"%d","title":"x"}`)+`]}`)), "Total row count exceed max allowed count: 10"},
		"row":         {message("list", body, list("x", row("1", x(24), ""))), message("list", body, list("x", row("1", x(25), ""))), "Row title is too long. Max length is 24"},
		"description": {message("list", body, list("x", row("1", "x", x(72)))), message("list", body, list("x", row("1", "x", x(73)))), "Row description is too long. Max length is 72"},
		"row id":      {message("list", body, list("x", row(x(200), "x", ""))), message("list", body, list("x", row(x(201), "x", ""))), "Row id is too long"},
		"same row":    {message("list", body, list("x", row("1", "x", ""))), message("list", body, list("x", `{"rows":[`+times(2, `{"id":"1","title":"%d"}`)+`]}`)), "Rows have the same id"},
		"label":       {message("list", body, list(x(20), row("1", "x", ""))), message("list", body, list(x(21), row("1", "x", ""))), "Button label length invalid"},
		"sections":    {message("list", body, list("x", times(1, `{"rows":[{"id":"%d","title":"x"}]}`))), message("list", body, list("x", times(2, `{"rows":[{"id":"%d","title":"x"}]}`))), "Section title is required"},
		"list header": {message("list", body+`"header":{"type":"text","text":"x"},`, list("x", row("1", "x", ""))), message("list", body+`"header":{"type":"image"},`, list("x", row("1", "x", ""))), "Header type invalid"},
		"link":        {message("cta_url", body, `{"name":"cta_url","parameters":{"display_text":"`+x(20)+`","url":"https://x.example"}}`), message("cta_url", body, `{"name":"cta_url","parameters":{"display_text":"`+x(21)+`","url":"https://x.example"}}`), "display_text"},
	} {
		code, details := refusal(t, srv, c.fits)
		require.Zero(t, code, "%s: %s", name, details)
		code, details = refusal(t, srv, c.not)
		require.Contains(t, []int{131009, 131008}, code, name)
		require.Contains(t, details, c.want, name)
	}
}

// TestWindowOfAPerson opens by any address of the person, and closes after 24 hours.
func TestWindowOfAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := whatsapptest.NewServer(t, whatsapptest.Config{InMemory: true, WebhookURL: "http://clinic.example/", HTTPClient: taker, People: []whatsapptest.Person{
			{Phone: "+5511987654321", WaID: "551187654321", UserID: "BR.1"},
		}})
		open := func(want bool) {
			t.Helper()
			for _, to := range []string{`"to":"+5511987654321"`, `"to":"551187654321"`, `"recipient":"BR.1"`} {
				code, _ := refusal(t, srv, `{"messaging_product":"whatsapp",`+to+`,"type":"text","text":{"body":"x"}}`)
				require.Equal(t, want, code == 0, to)
				require.Contains(t, []int{0, 131047}, code, to)
			}
		}
		open(false)
		for _, from := range []string{"BR.1", "+5511987654321", "551187654321"} {
			require.NoError(t, srv.SendText(t.Context(), from, "Ana", "Oi"))
			time.Sleep(24*time.Hour - time.Second)
			open(true)
			time.Sleep(time.Second)
			open(false)
		}
	})
}

// TestWhatWasNotTakenComesAgain: whoever sends a webhook learns that the application did not
// take it, and it comes again until it does.
func TestWhatWasNotTakenComesAgain(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(context.Context, *whatsapptest.Server) error{
		"a text": func(ctx context.Context, s *whatsapptest.Server) error {
			return s.SendText(ctx, "+919876543210", "Asha", "Hello")
		},
		"raw": func(ctx context.Context, s *whatsapptest.Server) error { return s.SendRaw(ctx, []byte(`{}`)) },
		"a number": func(ctx context.Context, s *whatsapptest.Server) error {
			return s.SendNumberChange(ctx, "+919876543210", "+919876543211")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var up atomic.Bool
				webhook := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if !up.Load() {
						w.WriteHeader(http.StatusInternalServerError)
					}
				})
				srv := whatsapptest.NewServer(t, whatsapptest.Config{
					InMemory: true, WebhookURL: "https://clinic.example/webhooks", HTTPClient: &http.Client{Transport: direct{webhook}},
				})
				err := send(t.Context(), srv)
				require.ErrorIs(t, err, telemed.ErrAmbiguous)
				require.EqualError(t, err, "whatsapptest: the webhook answered 500: outcome unknown")
				time.Sleep(24 * time.Hour)
				up.Store(true)
				down := len(srv.Deliveries())
				require.Greater(t, down, 10)
				require.NoError(t, srv.WaitWebhooks(t.Context()))
				require.Len(t, srv.Deliveries(), down+1)
				first, last := srv.Deliveries()[0], srv.Deliveries()[down]
				require.Equal(t, string(first.Event.Body), string(last.Event.Body))
				require.Equal(t, 200, last.Status)

				up.Store(false)
				srv.HoldWebhooks()
				require.ErrorIs(t, send(t.Context(), srv), telemed.ErrAmbiguous)
				time.Sleep(24 * time.Hour)
				require.Len(t, srv.Deliveries(), down+2, "held: once")
			})
		})
	}
}

// TestTheFakeTellsOfPeople: as Meta does, by what it knows of them.
func TestTheFakeTellsOfPeople(t *testing.T) {
	t.Parallel()
	var got []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, string(body))
	}))
	defer hook.Close()
	srv := whatsapptest.NewServer(t, whatsapptest.Config{WebhookURL: hook.URL, People: []whatsapptest.Person{{Phone: "+919876543210", UserID: "IN.1", Hidden: true}}})
	require.NoError(t, srv.SendText(t.Context(), "+919876543210", "Asha", "Hello"))
	require.Contains(t, got[0], `"from_user_id":"IN.1"`)
	require.NotContains(t, got[0], "9876543210")
	status, _ := send(t, srv, call, nil)
	require.Equal(t, 200, status)
	require.NoError(t, srv.SendStatus(t.Context(), srv.Messages()[0].ID, "read"))
	require.Contains(t, got[1], `"recipient_user_id":"IN.1"`)
	require.NotContains(t, got[1], "9876543210")
}
