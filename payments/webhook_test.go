package payments_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store"
)

// parser is a gateway's half of a webhook: it signs like one and reads
// {"type":…,"account":…}.
type parser struct{}

var key = []byte("webhook secret")

func (parser) ParseWebhook(h http.Header, body []byte) (*payments.Event, error) {
	if !signature.Valid(h.Get("Signature"), body, key) {
		return nil, telemed.ErrSignature
	}
	var read struct{ Type, Account string }
	if err := json.Unmarshal(body, &read); err != nil {
		return nil, telemed.ErrInvalid
	}
	return &payments.Event{ID: h.Get("Event-Id"), Type: read.Type, AccountID: read.Account, Raw: body}, nil
}

func newWebhook(t testing.TB, cfg payments.WebhookConfig) *payments.Webhook {
	t.Helper()
	h, err := payments.NewWebhook(cfg)
	require.NoError(t, err)
	return h
}

// post delivers a signed body and returns the status and the text of the answer.
func post(h http.Handler, eventID, body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Signature", signature.Hex(key, []byte(body)))
	r.Header.Set("Event-Id", eventID)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

// handler counts how often it was called and answers from a list of errors, then nil.
type handler struct {
	calls atomic.Int32
	errs  []error
}

func (h *handler) handle(context.Context, payments.Event) error {
	if n := int(h.calls.Add(1)); n <= len(h.errs) {
		return h.errs[n-1]
	}
	return nil
}

func TestWebhookRefuses(t *testing.T) {
	t.Parallel()
	var h handler
	webhook := newWebhook(t, payments.WebhookConfig{Parser: parser{}, Handle: h.handle, AccountID: "acc_1"})
	body := `{"type":"payment.captured","account":"acc_1"}`
	serve := func(change func(*http.Request)) int {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Signature", signature.Hex(key, []byte(body)))
		change(r)
		w := httptest.NewRecorder()
		webhook.ServeHTTP(w, r)
		return w.Code
	}
	for name, tc := range map[string]struct {
		want   int
		change func(*http.Request)
	}{
		"a GET":                   {405, func(r *http.Request) { r.Method = http.MethodGet }},
		"no signature":            {401, func(r *http.Request) { r.Header.Del("Signature") }},
		"a signature of others":   {401, func(r *http.Request) { r.Header.Set("Signature", signature.Hex([]byte("x"), []byte(body))) }},
		"a changed body":          {401, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(body + " ")) }},
		"an endless body":         {413, func(r *http.Request) { r.Body = io.NopCloser(bytes.NewReader(make([]byte, 1<<20+1))) }},
		"a body that is cut off":  {400, func(r *http.Request) { r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)) }},
		"signed but unreadable":   {500, sign(`{"type":`)},
		"signed, another account": {200, sign(`{"type":"payment.captured","account":"acc_2"}`)},
	} {
		require.Equal(t, tc.want, serve(tc.change), name)
	}
	require.Zero(t, h.calls.Load(), "none of these may reach the host")
	require.Equal(t, 200, serve(func(*http.Request) {}))
	require.EqualValues(t, 1, h.calls.Load())
}

func sign(body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Signature", signature.Hex(key, []byte(body)))
	}
}

func TestWebhookDuplicates(t *testing.T) {
	t.Parallel()
	var h handler
	webhook := newWebhook(t, payments.WebhookConfig{Parser: parser{}, Handle: h.handle})
	for _, delivery := range []struct{ id, body, want string }{
		{"evt_1", `{"type":"a"}`, "ok"},
		{"evt_1", `{"type":"a"}`, "duplicate"},
		{"evt_2", `{"type":"a"}`, "duplicate"}, // a signed body under a new id is a replay
		{"evt_1", `{"type":"a" }`, "duplicate"},
		{"", `{"type":"a"}`, "duplicate"},
		{"evt_3", `{"type":"b"}`, "ok"},
		{"", `{"type":"c"}`, "ok"},
		{"", `{"type":"c"}`, "duplicate"},
	} {
		status, text := post(webhook, delivery.id, delivery.body)
		require.Equal(t, 200, status)
		require.Equal(t, delivery.want, text, delivery)
	}
	require.EqualValues(t, 3, h.calls.Load())
}

func TestWebhookFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err       error
		first     int
		again     string
		permanent bool
	}{
		"an error is tried again":  {errors.New("database is down"), 500, "ok", false},
		"a poison event is not":    {payments.Permanent(errors.New("no such bill")), 200, "duplicate", true},
		"nor is it under wrapping": {fmt.Errorf("hospital: %w", payments.Permanent(errors.New("no such bill"))), 200, "duplicate", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := handler{errs: []error{tc.err}}
			var log bytes.Buffer
			webhook := newWebhook(t, payments.WebhookConfig{Parser: parser{}, Handle: h.handle, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			status, _ := post(webhook, "evt_1", `{"type":"a"}`)
			require.Equal(t, tc.first, status)
			require.Contains(t, log.String(), fmt.Sprintf("permanent=%v", tc.permanent))
			status, text := post(webhook, "evt_1", `{"type":"a"}`)
			require.Equal(t, 200, status)
			require.Equal(t, tc.again, text)
		})
	}
	require.NoError(t, payments.Permanent(nil))
}

func TestWebhookPanic(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	calls := 0
	webhook := newWebhook(t, payments.WebhookConfig{
		Parser: parser{}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Handle: func(context.Context, payments.Event) error {
			if calls++; calls == 1 {
				panic("patient Asha-Canary")
			}
			return nil
		},
	})
	status, text := post(webhook, "evt_1", `{"type":"a"}`)
	require.Equal(t, 500, status)
	require.NotContains(t, text+log.String(), "Canary")
	status, text = post(webhook, "evt_1", `{"type":"a"}`)
	require.Equal(t, 200, status)
	require.Equal(t, "ok", text)
}

// TestWebhookConcurrent delivers one event 64 times at once: one effect, and nobody is
// told "done" before it is.
func TestWebhookConcurrent(t *testing.T) {
	t.Parallel()
	var calls, oks, busy, early, arrived atomic.Int32
	var done atomic.Bool
	release := make(chan struct{})
	webhook := newWebhook(t, payments.WebhookConfig{
		Parser: parser{},
		Handle: func(context.Context, payments.Event) error {
			calls.Add(1)
			if arrived.Add(1) == 64 {
				close(release)
			}
			<-release
			done.Store(true)
			return nil
		},
	})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			status, _ := post(webhook, fmt.Sprint("evt_", i), `{"type":"a"}`)
			switch status {
			case 200:
				if !done.Load() {
					early.Add(1)
				}
				oks.Add(1)
			case 503:
				busy.Add(1)
				if arrived.Add(1) == 64 { // everybody else was sent away
					close(release)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, calls.Load())
	require.EqualValues(t, 1, oks.Load())
	require.EqualValues(t, 63, busy.Load())
	require.Zero(t, early.Load())
}

// TestWebhookDeadline shows that Handle's context ends in time and that a
// gateway that hung up does not lose what was done.
func TestWebhookDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		webhook := newWebhook(t, payments.WebhookConfig{
			Parser: parser{},
			Handle: func(ctx context.Context, _ payments.Event) error {
				<-ctx.Done()
				return ctx.Err()
			},
		})
		start := time.Now()
		status, _ := post(webhook, "evt_1", `{"type":"a"}`)
		require.Equal(t, 500, status)
		require.Equal(t, 4500*time.Millisecond, time.Since(start))
	})
	var calls int
	ctx, hangUp := context.WithCancel(t.Context())
	webhook := newWebhook(t, payments.WebhookConfig{
		Parser: parser{},
		Handle: func(context.Context, payments.Event) error {
			calls++
			hangUp()
			return nil // it was done before the connection broke
		},
	})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"type":"a"}`)).WithContext(ctx)
	r.Header.Set("Signature", signature.Hex(key, []byte(`{"type":"a"}`)))
	webhook.ServeHTTP(httptest.NewRecorder(), r)
	_, text := post(webhook, "evt_1", `{"type":"a"}`)
	require.Equal(t, "duplicate", text)
	require.Equal(t, 1, calls)
}

// TestWebhookLongTimeout: an application that gives Handle minutes is not called a second
// time meanwhile.
func TestWebhookLongTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		webhook := newWebhook(t, payments.WebhookConfig{
			Parser: parser{}, Timeout: 10 * time.Minute,
			Handle: func(ctx context.Context, _ payments.Event) error {
				calls.Add(1)
				<-ctx.Done()
				return nil
			},
		})
		first := make(chan int)
		go func() {
			status, _ := post(webhook, "evt_1", `{"type":"a"}`)
			first <- status
		}()
		time.Sleep(9 * time.Minute)
		status, _ := post(webhook, "evt_1", `{"type":"a"}`)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, http.StatusOK, <-first)
		require.EqualValues(t, 1, calls.Load())
	})
}

// broken are Claims whose database is down for one of their methods.
type broken struct {
	*store.Memory
	claim, complete error
}

func (b broken) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	if b.claim != nil {
		return store.Claim{}, b.claim
	}
	return b.Memory.Claim(ctx, key, lease)
}

func (b broken) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if b.complete != nil {
		return b.complete
	}
	return b.Memory.Complete(ctx, key, token, value, keep)
}

func TestWebhookClaimsFail(t *testing.T) {
	t.Parallel()
	down := errors.New("database is down")
	var h handler
	webhook := newWebhook(t, payments.WebhookConfig{
		Parser: parser{}, Handle: h.handle, Claims: broken{store.NewMemory(), down, nil},
	})
	status, _ := post(webhook, "evt_1", `{"type":"a"}`)
	require.Equal(t, 503, status, "what cannot be claimed is not handled")
	require.Zero(t, h.calls.Load())

	webhook = newWebhook(t, payments.WebhookConfig{
		Parser: parser{}, Handle: h.handle, Claims: broken{store.NewMemory(), nil, down},
	})
	status, _ = post(webhook, "evt_1", `{"type":"a"}`)
	require.Equal(t, 200, status, "what was handled is not asked for again")
}

// Two processes that share Claims handle an event once, whatever its id and its body say.
func TestWebhookTwoProcesses(t *testing.T) {
	t.Parallel()
	claims := store.NewMemory()
	var h handler
	cfg := payments.WebhookConfig{Parser: parser{}, Handle: h.handle, Claims: claims}
	first, second := newWebhook(t, cfg), newWebhook(t, cfg)
	for _, delivery := range []struct {
		to             http.Handler
		id, body, want string
	}{
		{first, "evt_1", `{"type":"a"}`, "ok"}, {second, "evt_1", `{"type":"a"}`, "duplicate"},
		{second, "evt_2", `{"type":"a"}`, "duplicate"}, {second, "evt_1", `{"type":"b"}`, "duplicate"},
		{second, "evt_2", `{"type":"b"}`, "ok"},
	} {
		_, text := post(delivery.to, delivery.id, delivery.body)
		require.Equal(t, delivery.want, text, delivery.body)
	}
	claim, err := claims.Claim(t.Context(), "payments:webhook:event:evt_1", time.Minute)
	require.NoError(t, err)
	require.Equal(t, store.ClaimDone, claim.State)
}

// Razorpay sends an event again by hand for 15 days.
func TestWebhookRemembers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h handler
		webhook := newWebhook(t, payments.WebhookConfig{Parser: parser{}, Handle: h.handle})
		_, _ = post(webhook, "evt_1", `{"type":"a"}`)
		time.Sleep(16*24*time.Hour - time.Second)
		_, text := post(webhook, "evt_1", `{"type":"a"}`)
		require.Equal(t, "duplicate", text)
		time.Sleep(time.Second)
		_, text = post(webhook, "evt_1", `{"type":"a"}`)
		require.Equal(t, "ok", text)
	})
}

// A Handle that minds no context: the gateway is answered in time, and the event is not
// begun again before it has returned.
func TestWebhookAnswersInTime(t *testing.T) {
	t.Parallel()
	for after, late := range map[string]error{"duplicate": nil, "ok": errors.New("database is down")} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int32
			webhook := newWebhook(t, payments.WebhookConfig{Parser: parser{}, Handle: func(context.Context, payments.Event) error {
				if calls.Add(1) == 1 {
					time.Sleep(10 * time.Minute)
					return late
				}
				return nil
			}})
			began := time.Now()
			status, _ := post(webhook, "evt_1", `{"type":"a"}`)
			require.Equal(t, 503, status)
			require.Less(t, time.Since(began), 4900*time.Millisecond)
			time.Sleep(9 * time.Minute)
			status, _ = post(webhook, "evt_1", `{"type":"a"}`)
			require.Equal(t, 503, status)
			time.Sleep(time.Minute)
			_, text := post(webhook, "evt_1", `{"type":"a"}`)
			require.Equal(t, after, text)
			require.NoError(t, webhook.Shutdown(t.Context()))
			status, _ = post(webhook, "evt_2", `{"type":"b"}`)
			require.Equal(t, 503, status)
		})
	}
}

// What is signed and cannot be read is the application's to keep, whole enough to be
// parsed again; until it has it the gateway is not answered 200.
func TestWebhookUnread(t *testing.T) {
	t.Parallel()
	const body = `{"type":7,"name":"zkmark"}`
	var log bytes.Buffer
	var h handler
	var taken []payments.UnreadEvent
	down := errors.New("database is down")
	webhook := newWebhook(t, payments.WebhookConfig{
		Parser: parser{}, Handle: h.handle, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Unread: func(_ context.Context, e payments.UnreadEvent) error { taken = append(taken, e); return down },
	})
	status, _ := post(webhook, "evt_1", body)
	require.Equal(t, 500, status)
	down = nil
	status, _ = post(webhook, "evt_1", body)
	require.Equal(t, 200, status)
	_, text := post(webhook, "evt_1", body)
	require.Equal(t, "duplicate", text)
	require.Len(t, taken, 2)
	require.Equal(t, body, string(taken[0].Raw))
	_, err := parser{}.ParseWebhook(taken[0].Header, taken[0].Raw)
	require.ErrorIs(t, err, telemed.ErrInvalid, "it can be parsed again, by a parser that knows better")
	require.Zero(t, h.calls.Load())
	slog.New(slog.NewTextHandler(&log, nil)).Info("got", "event", taken[0])
	require.Contains(t, log.String(), "event.bytes=26")
	require.NotContains(t, log.String()+fmt.Sprintf("%v %+v %#v %s", taken[0], taken[0], &taken[0], taken[0]), "zkmark")
}

func TestWebhookNamesAllProblems(t *testing.T) {
	t.Parallel()
	h, err := payments.NewWebhook(payments.WebhookConfig{Timeout: -1})
	require.Nil(t, h)
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.EqualError(t, err, "payments: webhook: Parser is required; Handle is required; Timeout is negative")
}

// hurried is a ResponseWriter on which deadlines of some seconds pass at once, and which
// remembers them.
type hurried struct {
	http.ResponseWriter
	deadlines *[]time.Time
}

func (h hurried) SetReadDeadline(at time.Time) error {
	*h.deadlines = append(*h.deadlines, at)
	if !at.IsZero() {
		at = at.Add(-10 * time.Second)
	}
	return http.NewResponseController(h.ResponseWriter).SetReadDeadline(at)
}

// A sender that stops in the middle of a body does not hold the handler, nor does the
// server wait for the rest.
func TestWebhookSlowBody(t *testing.T) {
	t.Parallel()
	var h handler
	webhook := newWebhook(t, payments.WebhookConfig{Parser: parser{}, Handle: h.handle})
	var deadlines []time.Time
	returned := make(chan struct{})
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(returned)
		webhook.ServeHTTP(hurried{w, &deadlines}, r)
	}))
	t.Cleanup(host.Close)
	conn, err := net.Dial("tcp", host.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"type\":")
	require.NoError(t, err)

	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err, "the handler waits for a body that does not come")
	require.Equal(t, http.StatusRequestTimeout, answer.StatusCode)
	require.True(t, answer.Close)
	_, err = io.ReadAll(answer.Body)
	require.NoError(t, err)
	_, err = reader.ReadByte()
	require.ErrorIs(t, err, io.EOF, "the connection ends")
	<-returned
	require.Len(t, deadlines, 1)
	require.Zero(t, h.calls.Load())
}

// The body's deadline is not the handler's: it is gone when Handle runs.
func TestWebhookDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	var deadlines []time.Time
	webhook := newWebhook(t, payments.WebhookConfig{Parser: parser{}, Handle: func(context.Context, payments.Event) error {
		require.Len(t, deadlines, 2)
		return nil
	}})
	body := `{"type":"a"}`
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	sign(body)(r)
	w := httptest.NewRecorder()
	before := time.Now()
	webhook.ServeHTTP(hurried{w, &deadlines}, r)
	require.Equal(t, 200, w.Code, "a ResponseWriter without deadlines serves as well")
	require.WithinDuration(t, before.Add(10*time.Second), deadlines[0], 5*time.Second)
	require.True(t, deadlines[1].IsZero())
}

func FuzzWebhook(f *testing.F) {
	f.Add([]byte(`{"type":"payment.captured"}`), true)
	f.Add([]byte(``), true)
	f.Add([]byte(`null`), false)
	f.Fuzz(func(t *testing.T, body []byte, signed bool) {
		handled := false
		webhook := newWebhook(t, payments.WebhookConfig{
			Parser: parser{}, Handle: func(context.Context, payments.Event) error { handled = true; return nil },
		})
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		if signed {
			r.Header.Set("Signature", signature.Hex(key, body))
		}
		w := httptest.NewRecorder()
		webhook.ServeHTTP(w, r)
		if !signed && (handled || w.Code != http.StatusUnauthorized) {
			t.Fatalf("an unsigned body was answered %d, handled: %v", w.Code, handled)
		}
		if signed && (w.Code == http.StatusOK) != handled {
			t.Fatalf("a signed body was answered %d, handled: %v", w.Code, handled)
		}
	})
}
