package zoom_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
)

// newWebhook returns an inbox that is configured by a test.
func newWebhook(t *testing.T, cfg zoom.WebhookConfig) (*inbox, *zoom.Webhook) {
	t.Helper()
	box := &inbox{}
	cfg.Secrets = []telemed.Secret{telemed.NewSecret(vectorSecret)}
	if cfg.Handle == nil {
		cfg.Handle = box.take
	}
	webhook, err := zoom.NewWebhook(cfg)
	require.NoError(t, err)
	box.handler = webhook
	return box, webhook
}

// send signs a body, now, and returns the answer.
func (b *inbox) send(body string) string {
	timestamp, good := sign(body)
	rec := b.post(timestamp, good, body)
	return fmt.Sprint(rec.Code, " ", strings.TrimSpace(rec.Body.String()))
}

// Zoom waits 3 seconds. A handler that minds no context is answered for in time, and is
// not begun again, neither here nor in another process, before it has returned.
func TestWebhookAnswersInTime(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]error{"200 duplicate": nil, "200 ok": errors.New("database is down")} {
		synctest.Test(t, func(t *testing.T) {
			claims := store.NewMemory()
			slow, webhook := newWebhook(t, zoom.WebhookConfig{Claims: claims, Handle: func(context.Context, zoom.Event) error {
				time.Sleep(5 * time.Minute)
				return late
			}})
			other, _ := newWebhook(t, zoom.WebhookConfig{Claims: claims})
			const body = `{"event":"meeting.started","event_ts":1}`
			began := time.Now()
			require.Equal(t, "503 still being handled", slow.send(body))
			require.Less(t, time.Since(began), 2900*time.Millisecond)
			for range 4 {
				time.Sleep(time.Minute) // each time Zoom dates it anew
				require.Equal(t, "503 try again", slow.send(body))
				require.Equal(t, "503 try again", other.send(body))
			}
			require.NoError(t, webhook.Shutdown(t.Context()))
			require.Equal(t, 5*time.Minute, time.Since(began).Round(time.Second))
			require.Equal(t, "503 shutting down", slow.send(body))
			time.Sleep(time.Millisecond)
			require.Equal(t, name, other.send(body))
		})
	}
}

func TestWebhookFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail       func() error
		first, log string
	}{
		"an error":  {func() error { return errors.New("database is down") }, "500 failed", "database is down"},
		"a panic":   {func() error { panic("zkmark") }, "500 failed", "webhook_once_test.go"},
		"incurable": {func() error { return zoom.Permanent(errors.New("no such visit")) }, "200 ok", "permanent=true"},
	} {
		var log strings.Builder
		failed := false
		box, _ := newWebhook(t, zoom.WebhookConfig{Logger: slog.New(slog.NewTextHandler(&log, nil)), Handle: func(context.Context, zoom.Event) error {
			if failed {
				return nil
			}
			failed = true
			return c.fail()
		}})
		require.Equal(t, c.first, box.send(startedBody), name)
		require.Contains(t, log.String(), c.log)
		require.Contains(t, log.String(), "event.meeting_id=85393847045")
		require.NotContains(t, log.String(), "zkmark")
		require.Equal(t, map[bool]string{true: "200 duplicate", false: "200 ok"}[c.first == "200 ok"], box.send(startedBody), name)
	}
}

// What is signed and no event goes to Unread as it came, and nowhere if there is none.
func TestWebhookUnread(t *testing.T) {
	t.Parallel()
	const body = `[{"name":"zkmark"}]`
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	box, _ := newWebhook(t, zoom.WebhookConfig{Logger: logger})
	require.Equal(t, "500 failed", box.send(body))
	require.Contains(t, log.String(), "there is no Unread")

	var taken []zoom.UnreadEvent
	down := errors.New("database is down")
	box, _ = newWebhook(t, zoom.WebhookConfig{Logger: logger, Unread: func(_ context.Context, e zoom.UnreadEvent) error {
		taken = append(taken, e)
		return down
	}})
	require.Equal(t, "500 failed", box.send(body))
	down = nil
	require.Equal(t, "200 ok", box.send(body))
	require.Equal(t, "200 duplicate", box.send(body))
	require.Empty(t, box.events)
	require.Len(t, taken, 2)
	require.Equal(t, body, string(taken[0].Raw))
	given := taken[0].Header
	require.Equal(t, "v0="+signature.Hex([]byte(vectorSecret), []byte("v0:"+given.Get("X-Zm-Request-Timestamp")+":"+body)), given.Get("X-Zm-Signature"))
	require.Len(t, given, 2)
	logger.Info("got", "event", taken[0])
	require.Contains(t, log.String(), "event.bytes=19")
	require.NotContains(t, log.String()+fmt.Sprintf("%v %+v %#v %s", taken[0], taken[0], &taken[0], taken[0]), "zkmark")
}

// The same event has one ID however it is sent; what differs in any field that is the
// event's own has another.
func TestEventID(t *testing.T) {
	t.Parallel()
	const waiting = `{"event":"meeting.participant_jbh_waiting","event_ts":1900000000000,"payload":{"account_id":"a","object":` +
		`{"id":"81000000001","uuid":"u==","host_id":"H","participant":{"id":"","user_name":"n","registrant_id":"R","customer_key":"C","join_url":"https://x/1"}}}}`
	id := func(body string) string {
		box, _ := newWebhook(t, zoom.WebhookConfig{})
		require.Equal(t, "200 ok", box.send(body))
		return box.events[0].ID
	}
	for name, change := range map[string][]string{
		"registrant": {`"R"`, `"S"`}, "customer": {`"C"`, `"D"`}, "person": {`"id":""`, `"id":"P"`}, "name": {`"n"`, `"m"`},
		"uuid": {"u==", "v=="}, "meeting": {"81000000001", "81000000002"}, "time": {"1900000000000", "1900000000001"},
		"kind": {"_waiting", "_joined"}, "account": {`"a"`, `"b"`}, "a field that nobody knows": {`"host_id"`, `"guest_number":7,"host_id"`},
	} {
		require.NotEqual(t, id(waiting), id(strings.Replace(waiting, change[0], change[1], 1)), name)
	}
	for name, change := range map[string][]string{
		"link": {"https://x/1", "https://x/2"}, "token": {`{"event"`, `{"download_token":"t","event"`}, "blanks": {`,`, ` , `},
		"order": {`"registrant_id":"R","customer_key":"C"`, `"customer_key":"C","registrant_id":"R"`},
	} {
		require.Equal(t, id(waiting), id(strings.ReplaceAll(waiting, change[0], change[1])), name)
	}
}

// Two people who wait in one millisecond are two events, for two processes as well.
func TestWebhookClaims(t *testing.T) {
	t.Parallel()
	claims := store.NewMemory()
	first, _ := newWebhook(t, zoom.WebhookConfig{Claims: claims})
	second, _ := newWebhook(t, zoom.WebhookConfig{Claims: claims})
	for _, who := range []string{"reg-1", "reg-2"} {
		body := `{"event":"meeting.participant_jbh_waiting","event_ts":1900000000000,"payload":{"object":{"id":"1","participant":{"registrant_id":"` + who + `"}}}}`
		require.Equal(t, "200 ok", first.send(body))
		require.Equal(t, "200 duplicate", second.send(body))
		claim, err := claims.Claim(t.Context(), "zoom:webhook:"+first.events[len(first.events)-1].ID, time.Minute)
		require.NoError(t, err)
		require.Equal(t, store.ClaimDone, claim.State)
	}
	require.Len(t, first.events, 2)
	require.Empty(t, second.events)
}

// The log tells a wrong secret from a body that was changed on its way; the sender learns
// nothing.
func TestWebhookHints(t *testing.T) {
	t.Parallel()
	timestamp, good := sign(startedBody)
	for want, c := range map[string]struct{ timestamp, sign, body string }{
		"header X-Zm-Request-Timestamp is missing": {"", good, startedBody},
		"header X-Zm-Signature is missing":         {timestamp, "", startedBody},
		`is not \"v0=\" and 64`:                    {timestamp, good[3:], startedBody},
		"the body was cut":                         {timestamp, good, startedBody[:300]},
		"the body is empty":                        {timestamp, good, ""},
		"the same body in another form":            {timestamp, "v0=" + signature.Hex([]byte(vectorSecret), []byte("v0:"+timestamp+`:{"event":"a\/b"}`)), `{ "event": "a/b" }`},
		"the secret is another":                    {timestamp, "v0=" + strings.Repeat("0", 64), startedBody},
		"not an event of this provider":            {timestamp, good, `{"type":"charge"}`},
		"too long ago":                             {startedTime, startedSignature, startedBody},
	} {
		var log strings.Builder
		box, _ := newWebhook(t, zoom.WebhookConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		rec := box.post(c.timestamp, c.sign, c.body)
		require.Equal(t, http.StatusUnauthorized, rec.Code, want)
		require.Equal(t, "signature mismatch\n", rec.Body.String(), want)
		require.Contains(t, log.String(), want)
		require.NotContains(t, log.String(), vectorSecret)
	}
}

// The http.Server's own ReadTimeout, if it is shorter, is respected: see
// internal/webhook. Here a connection whose body failed is given up.
func TestWebhookGivesUpTheConnection(t *testing.T) {
	t.Parallel()
	box, _ := newWebhook(t, zoom.WebhookConfig{})
	rec := httptest.NewRecorder()
	box.handler.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 1<<20+1))))
	require.Equal(t, http.StatusRequestEntityTooLarge, rec.Code)
	require.Equal(t, "close", rec.Header().Get("Connection"))
}
