package visit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/store/durable"
)

// callback is the browser that comes back from the payment page.
func (c *clinic) callback(paid payments.Confirmation, accept string) (status int, body, location string) {
	r := httptest.NewRequestWithContext(c.Context(), http.MethodPost, "/api/payments/callback", strings.NewReader(c.gateway.Callback(paid).Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", accept)
	r.SetPathValue("action", "callback")
	w := httptest.NewRecorder()
	c.Payments().ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header().Get("Location")
}

func (c *clinic) page(method, user, id string, form url.Values, headers map[string]string, change visit.Change[durable.Store]) (status int, answer map[string]any) {
	c.Helper()
	who := func(r *http.Request) (string, error) { return r.Header.Get("X-User"), nil }
	inTx := func(_ context.Context, do func(durable.Store) error) error { return do(c.rows) }
	r := httptest.NewRequestWithContext(c.Context(), method, "https://lotus.example/api/visits/"+id, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-User", user)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	r.SetPathValue("id", id)
	w := httptest.NewRecorder()
	visit.Handler(c.Visits, inTx, who, change).ServeHTTP(w, r)
	require.Equal(c, "no-store", w.Header().Get("Cache-Control"))
	require.NoError(c, json.Unmarshal(w.Body.Bytes(), &answer), w.Body.String())
	return w.Code, answer
}

func book(r *http.Request, _ durable.Store, visits visit.Writer, _, id string) error {
	req := request(id)
	req.Patient.Name = r.FormValue("name")
	return visits.Book(r.Context(), req)
}

// TestHandlerLogsNoWordOfACommit: a constraint that is checked at the commit quotes the row.
func TestHandlerLogsNoWordOfACommit(t *testing.T) {
	var logs bytes.Buffer
	story(t, func(cfg *visit.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&logs, nil)) }, func(c *clinic) {
		refused := errors.New("Key (name)=(Asha Verma) already exists")
		for want, err := range map[int]error{500: refused, 503: errors.Join(refused, telemed.ErrUnavailable)} {
			logs.Reset()
			inTx := func(context.Context, func(durable.Store) error) error { return err }
			who := func(*http.Request) (string, error) { return "asha", nil }
			r := httptest.NewRequestWithContext(c.Context(), http.MethodPut, "https://lotus.example/api/visits/"+theVisit, nil)
			r.SetPathValue("id", theVisit)
			w := httptest.NewRecorder()
			visit.Handler(c.Visits, inTx, who, book).ServeHTTP(w, r)
			require.Equal(c, want, w.Code)
			require.Contains(c, logs.String(), "a page")
			require.NotContains(c, logs.String()+w.Body.String(), "Asha")
		}
	})
}

func TestHandler(t *testing.T) {
	var logs bytes.Buffer
	story(t, func(cfg *visit.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&logs, nil)) }, func(c *clinic) {
		form := url.Values{"name": {"Asha Verma"}}
		status, got := c.page("PUT", "asha", theVisit, form, nil, book)
		require.Equal(c, 200, status)
		require.Equal(c, "reserved", got["status"])
		require.Contains(c, got, "checkout")
		status, again := c.page("PUT", "asha", theVisit, form, nil, book)
		require.Equal(c, 200, status)
		require.Equal(c, got, again)

		status, _ = c.page("PUT", "", theVisit, form, nil, book)
		require.Equal(c, 401, status)
		status, _ = c.page("PUT", "asha", theVisit, form, map[string]string{"Origin": "https://evil.example"}, book)
		require.Equal(c, 403, status)
		status, _ = c.page("PUT", "asha", theVisit, form, map[string]string{"Origin": "https://lotus.example"}, book)
		require.Equal(c, 200, status)
		status, got = c.page("PUT", "asha", "appt-50", nil, nil, book)
		require.Equal(c, 400, status)
		require.Equal(c, []any{map[string]any{"field": "Patient.Name", "problem": "is required"}}, got["fields"])
		status, got = c.page("PUT", "asha", "appt-50", form, nil, book)
		require.Equal(c, 409, status)
		require.Equal(c, "taken", got["error"])
		status, _ = c.page("PUT", "asha", theVisit, url.Values{"name": {strings.Repeat("x", 70_000)}}, nil, book)
		require.Equal(c, 413, status)

		for want, err := range map[int]error{404: telemed.ErrNotFound, 409: telemed.ErrConflict, 503: telemed.ErrUnavailable, 500: errors.New("Asha Verma")} {
			status, got := c.page("GET", "asha", theVisit, nil, nil, func(*http.Request, durable.Store, visit.Writer, string, string) error { return err })
			require.Equal(c, want, status)
			require.NotContains(c, fmt.Sprint(got), "Asha")
		}
		require.Contains(c, logs.String(), "a page failed")
		require.NotContains(c, logs.String(), "Asha", "a driver's error may quote a row")
		nothing := func(*http.Request, durable.Store, visit.Writer, string, string) error { return nil }
		status, _ = c.page("GET", "asha", "appt-99", nil, nil, nothing)
		require.Equal(c, 404, status)

		c.pay(theVisit)
		c.wait(time.Minute)
		status, got = c.page("GET", "asha", theVisit, nil, nil, nothing)
		require.Equal(c, 200, status)
		require.NotEmpty(c, got["join_url"])
		require.NotContains(c, got, "checkout")
		require.NotContains(c, fmt.Sprint(got), "Asha")
	})
}

// TestTheGatewayIsAwayWhileSomebodyBooks: the visit is kept, and the page asks again.
func TestTheGatewayIsAwayWhileSomebodyBooks(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.gateway.FailNext(paymentstest.OpCreateOrder, telemed.ErrUnavailable)
		form := url.Values{"name": {"Asha Verma"}}
		status, _ := c.page("PUT", "asha", theVisit, form, nil, book)
		require.Equal(c, 503, status)
		c.is(theVisit, visit.StatusReserved)
		status, got := c.page("PUT", "asha", theVisit, form, nil, book)
		require.Equal(c, 200, status)
		require.Contains(c, got, "checkout")
	})
}

func TestCallback(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		_, err := c.Checkout(c.Context(), theVisit)
		require.NoError(c, err)
		orders, err := c.gateway.OrdersByKey(c.Context(), theVisit)
		require.NoError(c, err)
		paid, err := c.gateway.Pay(orders[0].ID)
		require.NoError(c, err)

		forged := paid
		forged.Signature = "00" + forged.Signature[2:]
		status, _, _ := c.callback(forged, "text/html")
		require.Equal(c, 400, status)
		c.is(theVisit, visit.StatusReserved)

		c.gateway.FailNext(paymentstest.OpOrder, telemed.ErrUnavailable)
		status, _, to := c.callback(paid, "text/html")
		require.Equal(c, 303, status)
		require.Equal(c, "https://lotus.example/visits?status=checking", to)
		for range 2 {
			status, _, to = c.callback(paid, "text/html")
			require.Equal(c, 303, status)
			require.Equal(c, "https://lotus.example/visits?status=booked&visit=appt-42", to)
		}
		status, body, _ := c.callback(paid, "application/json")
		require.Equal(c, 200, status)
		require.Contains(c, body, `"status":"booked"`)

		r := httptest.NewRequestWithContext(c.Context(), http.MethodGet, "/api/payments/callback", nil)
		for action, want := range map[string]int{"callback": 405, "webhook": 405, "other": 404} {
			r.SetPathValue("action", action)
			w := httptest.NewRecorder()
			c.Payments().ServeHTTP(w, r)
			require.Equal(c, want, w.Code, action)
		}
	})
}

// TestNobodyComesBackAndTheWebhookTells: the tab is closed after the payment.
func TestNobodyComesBackAndTheWebhookTells(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		_, err := c.Checkout(c.Context(), theVisit)
		require.NoError(c, err)
		orders, err := c.gateway.OrdersByKey(c.Context(), theVisit)
		require.NoError(c, err)
		_, err = c.gateway.Pay(orders[0].ID)
		require.NoError(c, err)
		order, err := c.gateway.Order(c.Context(), orders[0].ID)
		require.NoError(c, err)
		header, body := c.gateway.Webhook(payments.Event{ID: "evt_1", Type: payments.EventOrderPaid, Order: order})
		r := httptest.NewRequestWithContext(c.Context(), http.MethodPost, "/api/payments/webhook", bytes.NewReader(body))
		r.Header = header
		r.SetPathValue("action", "webhook")
		w := httptest.NewRecorder()
		c.Payments().ServeHTTP(w, r)
		require.Equal(c, 200, w.Code, w.Body.String())
		c.wait(time.Minute)
		c.is(theVisit, visit.StatusBooked)
	})
}

func TestTimelineHandler(t *testing.T) {
	story(t, nil, func(c *clinic) {
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		r := httptest.NewRequestWithContext(c.Context(), http.MethodGet, "/staff/visits/appt-42/timeline", nil)
		r.SetPathValue("id", theVisit)
		w := httptest.NewRecorder()
		c.TimelineHandler().ServeHTTP(w, r)
		require.Equal(c, 200, w.Code)
		var entries []visit.Entry
		require.NoError(c, json.Unmarshal(w.Body.Bytes(), &entries))
		require.Equal(c, visit.Entry{At: time.Now().UTC().Truncate(time.Second), Of: "visit", What: "booked for 2000-01-04T04:30:00Z"}, entries[0])
		r.SetPathValue("id", "nobody")
		w = httptest.NewRecorder()
		c.TimelineHandler().ServeHTTP(w, r)
		require.Equal(c, 404, w.Code)
	})
}
