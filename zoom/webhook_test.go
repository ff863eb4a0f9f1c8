package zoom_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// The vectors of a published client library's tests, both made by Zoom.
const (
	vectorSecret = "4fv1RkqGQUq5sWbEz6hA5A"

	validationTime      = "1720705455"
	validationBody      = `{"payload":{"plainToken":"xys8n8PGS7mAU0m5-YJjRA"},"event_ts":1720705455858,"event":"endpoint.url_validation"}`
	validationSignature = "v0=93a1a675965ceb9c5a50c5dfb31f20e50f763be37a54ef74cd2d16a1a8e5c0d6"
	validationAnswer    = "2fffc6a967dde4f68024025a5bd991c5ae1e5313b4e6365be4883e3e81d479b3"

	startedTime      = "1720707175"
	startedBody      = `{"event":"meeting.started","payload":{"account_id":"VjZoEArIT5y-HlWxkV-tVA","object":{"duration":60,"start_time":"2024-07-11T14:12:55Z","timezone":"America/New_York","topic":"Test \uD83D\uDE92\uD83D\uDE92 ? - ’ - – \uD83D\uDE97 HOLA","id":"85393847045","type":2,"uuid":"jUh5o3dKQIytvcsfTtKBlg==","host_id":"8lzIwvZTSOqjndWPbPqzuA"}},"event_ts":1720707175904}`
	startedSignature = "v0=1a14e79349318fa1bead50ebbd3c185ae078e182d3bbd30ab8010fcb7f4357c7"
)

// inbox is an endpoint and what its Handle got.
type inbox struct {
	handler http.Handler
	mu      sync.Mutex
	events  []zoom.Event
	fail    error
}

func newInbox(t *testing.T, secrets ...string) *inbox {
	t.Helper()
	box := &inbox{}
	var all []telemed.Secret
	for _, text := range secrets {
		all = append(all, telemed.NewSecret(text))
	}
	handler, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: all, Tolerance: 100 * 365 * 24 * time.Hour, Handle: box.take,
	})
	require.NoError(t, err)
	box.handler = handler
	return box
}

func (b *inbox) take(_ context.Context, event zoom.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.events = append(b.events, event)
	return nil
}

func (b *inbox) post(timestamp, sign, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/zoom/webhook", strings.NewReader(body))
	req.Header.Set("X-Zm-Request-Timestamp", timestamp)
	req.Header.Set("X-Zm-Signature", sign)
	rec := httptest.NewRecorder()
	b.handler.ServeHTTP(rec, req)
	return rec
}

// sign signs as Zoom does with vectorSecret, at this moment.
func sign(body string) (timestamp, sign string) {
	timestamp = fmt.Sprint(time.Now().Unix())
	return timestamp, "v0=" + signature.Hex([]byte(vectorSecret), []byte("v0:"+timestamp+":"+body))
}

func TestNewWebhookNamesEverything(t *testing.T) {
	t.Parallel()
	_, err := zoom.NewWebhook(zoom.WebhookConfig{Secrets: []telemed.Secret{{}}, Tolerance: -1, Timeout: -1})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	for _, field := range []string{"Secrets[0]", "Handle", "Tolerance", "Timeout"} {
		require.ErrorContains(t, err, field)
	}
}

func TestWebhookVectors(t *testing.T) {
	t.Parallel()
	box := newInbox(t, "an older secret", vectorSecret)
	rec := box.post(validationTime, validationSignature, validationBody)
	require.Equal(t, http.StatusOK, rec.Code)
	require.JSONEq(t, `{"plainToken":"xys8n8PGS7mAU0m5-YJjRA","encryptedToken":"`+validationAnswer+`"}`, rec.Body.String())
	require.Empty(t, box.events)

	require.Len(t, startedBody, 362)
	rec = box.post(startedTime, startedSignature, startedBody)
	require.Equal(t, http.StatusOK, rec.Code)
	event := box.events[0]
	require.Equal(t, zoom.EventMeetingStarted, event.Name)
	require.Equal(t, "85393847045", event.Meeting.ID)
	require.Equal(t, "8lzIwvZTSOqjndWPbPqzuA", event.UserID)
	require.Equal(t, time.UnixMilli(1720707175904).UTC(), event.Time)
	require.JSONEq(t, startedBody, string(event.Raw))
}

func TestWebhookRefuses(t *testing.T) {
	t.Parallel()
	var parsed any
	require.NoError(t, json.Unmarshal([]byte(startedBody), &parsed))
	reserialised, err := json.Marshal(parsed)
	require.NoError(t, err)
	tests := map[string]struct{ timestamp, sign, body string }{
		"another body":             {startedTime, startedSignature, strings.Replace(startedBody, "85393847045", "85393847046", 1)},
		"the same, written anew":   {startedTime, startedSignature, string(reserialised)},
		"another time":             {"1720707176", startedSignature, startedBody},
		"no signature":             {startedTime, "", startedBody},
		"no version":               {startedTime, strings.TrimPrefix(startedSignature, "v0="), startedBody},
		"cut signature":            {startedTime, startedSignature[:40], startedBody},
		"validation, not signed":   {validationTime, "", validationBody},
		"validation, badly signed": {validationTime, startedSignature, validationBody},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newInbox(t, vectorSecret)
			rec := box.post(test.timestamp, test.sign, test.body)
			require.Equal(t, http.StatusUnauthorized, rec.Code)
			require.NotContains(t, rec.Body.String(), "encryptedToken")
			require.Empty(t, box.events)
		})
	}
}

// Whoever gets a validation answered gets a signature. An attacker asks for that of a
// forged delivery.
func TestWebhookIsNoSigningOracle(t *testing.T) {
	t.Parallel()
	box := newInbox(t, vectorSecret)
	forged := `v0:` + validationTime + `:{"event":"meeting.ended"}`
	question, err := json.Marshal(map[string]any{"event": "endpoint.url_validation", "payload": map[string]any{"plainToken": forged}})
	require.NoError(t, err)
	rec := box.post(validationTime, "v0=00", string(question))
	require.Equal(t, http.StatusUnauthorized, rec.Code)

	timestamp, good := sign(string(question)) // even if Zoom itself could be made to send it
	rec = box.post(timestamp, good, string(question))
	require.Equal(t, http.StatusBadRequest, rec.Code)
	require.NotContains(t, rec.Body.String(), "encryptedToken")
}

func TestWebhookTimestamps(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		age  time.Duration
		want int
	}{
		"now": {0, 200}, "a late repetition": {110 * time.Minute, 200}, "too old": {2*time.Hour + time.Minute, 401},
		"a clock ahead": {-4 * time.Minute, 200}, "the future": {-6 * time.Minute, 401},
	}
	fake := zoomtest.NewServer(t)
	endpoint := webhookServer(t, fake, func(context.Context, zoom.Event) error { return nil })
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := []byte(`{"event":"meeting.started","case":"` + name + `"}`)
			status, _, err := fake.Deliver(endpoint, fake.Sign(time.Now().Add(-test.age), body), body)
			require.NoError(t, err)
			require.Equal(t, test.want, status)
		})
	}
	t.Run("no number", func(t *testing.T) {
		t.Parallel()
		box := newInbox(t, vectorSecret)
		rec := box.post("soon", "v0="+signature.Hex([]byte(vectorSecret), []byte("v0:soon:{}")), "{}")
		require.Equal(t, http.StatusUnauthorized, rec.Code)
	})
}

func webhookServer(t *testing.T, fake *zoomtest.Server, handle func(context.Context, zoom.Event) error) string {
	t.Helper()
	handler, err := zoom.NewWebhook(zoom.WebhookConfig{Secrets: []telemed.Secret{fake.WebhookSecret()}, Handle: handle})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestWebhookOverHTTP(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	events := make(chan zoom.Event, 8)
	endpoint := webhookServer(t, c.fake, func(_ context.Context, e zoom.Event) error { events <- e; return nil })
	// The id is text in one, a number in the other.
	for _, name := range []string{zoom.EventMeetingStarted, zoom.EventMeetingUpdated} {
		status, _, err := c.fake.SendWebhook(endpoint, c.fake.MeetingEvent(name, c.live()[0].ID))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		event := <-events
		require.Equal(t, m.ID, event.Meeting.ID)
		require.Equal(t, c.token(t).Account.ID, event.UserID)
	}
}

func TestWebhookMethodsAndSizes(t *testing.T) {
	t.Parallel()
	box := newInbox(t, vectorSecret)
	rec := httptest.NewRecorder()
	box.handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
	require.Equal(t, "POST", rec.Header().Get("Allow"))

	large := strings.Repeat("x", 1<<20+1)
	timestamp, good := sign(large)
	require.Equal(t, http.StatusRequestEntityTooLarge, box.post(timestamp, good, large).Code)

	for _, body := range []string{"", "[]", "{", `{"event":17e999}`, `{"event":null}`} {
		timestamp, good := sign(body)
		require.Equal(t, http.StatusInternalServerError, box.post(timestamp, good, body).Code, body)
	}
	require.Empty(t, box.events)
}

func TestWebhookReplays(t *testing.T) {
	t.Parallel()
	box := newInbox(t, vectorSecret)
	box.fail = errors.New("database is down")
	require.Equal(t, http.StatusInternalServerError, box.post(startedTime, startedSignature, startedBody).Code)
	box.fail = nil
	for range 3 {
		require.Equal(t, http.StatusOK, box.post(startedTime, startedSignature, startedBody).Code)
	}
	require.Equal(t, http.StatusOK, box.post(startedTime, "v0="+strings.ToUpper(startedSignature[3:]), startedBody).Code)
	require.Len(t, box.events, 1, "after a failure it is taken again, after a success it is not")
}

func TestWebhookWhileHandling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		handler, err := zoom.NewWebhook(zoom.WebhookConfig{
			Secrets:   []telemed.Secret{telemed.NewSecret(vectorSecret)},
			Tolerance: 100 * 365 * 24 * time.Hour,
			Handle: func(ctx context.Context, _ zoom.Event) error {
				select {
				case <-release:
				case <-ctx.Done():
				}
				return ctx.Err()
			},
		})
		require.NoError(t, err)
		box := &inbox{handler: handler}
		timestamp, good := sign(startedBody)
		first := make(chan int)
		go func() { first <- box.post(timestamp, good, startedBody).Code }()
		synctest.Wait()
		require.Equal(t, http.StatusServiceUnavailable, box.post(timestamp, good, startedBody).Code)
		begin := time.Now()
		require.Equal(t, http.StatusInternalServerError, <-first, "a slow Handle is told to stop before Zoom gives up")
		require.Equal(t, 2500*time.Millisecond, time.Since(begin))
		close(release)
		require.Equal(t, http.StatusOK, box.post(timestamp, good, startedBody).Code)
	})
}

func TestEventShapes(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, body string) zoom.Event {
		t.Helper()
		box := newInbox(t, vectorSecret)
		timestamp, good := sign(body)
		require.Equal(t, http.StatusOK, box.post(timestamp, good, body).Code)
		return box.events[0]
	}
	t.Run("participant", func(t *testing.T) {
		t.Parallel()
		const format = `{"event":"meeting.participant_joined","event_ts":1626230691572,"payload":{"account_id":"a","object":
			{"id":%s,"uuid":"u==","host_id":"h","topic":"Asha","participant":{"user_id":%s,"user_name":"Asha Rao","email":"asha@example.org",
			"participant_uuid":"p","registrant_id":"r","customer_key":"k","%s":"2021-07-13T21:44:51Z"}}}}`
		text := read(t, fmt.Sprintf(format, `"123"`, `"17"`, "join_time"))
		number := read(t, fmt.Sprintf(format, `123`, `17`, "date_time"))
		for _, event := range []zoom.Event{text, number} {
			require.Equal(t, "123", event.Meeting.ID)
			require.Equal(t, &zoom.Participant{UserID: "17", UUID: "p", RegistrantID: "r", CustomerKey: "k"}, event.Participant)
			require.Equal(t, time.Date(2021, 7, 13, 21, 44, 51, 0, time.UTC), event.Time)
		}
	})
	t.Run("deauthorized", func(t *testing.T) {
		t.Parallel()
		for _, ts := range []string{`"2024-09-08 15:58:40"`, `1725811120000`, `null`} {
			event := read(t, `{"event":"app_deauthorized","payload":{"account_id":"a","user_id":"u","client_id":"c",
				"deauthorization_time":"2020-06-17T13:52:28.632Z","event_ts":`+ts+`}}`)
			require.Equal(t, "u", event.UserID)
			require.Equal(t, "a", event.AccountID)
			require.Equal(t, 2020, event.Time.Year())
			require.Nil(t, event.Meeting)
		}
	})
	t.Run("what nobody expects", func(t *testing.T) {
		t.Parallel()
		for _, payload := range []string{`null`, `7`, `[]`, `{}`, `{"object":"x"}`, `{"object":{"id":{},"participant":[1]}}`} {
			event := read(t, `{"event":"meeting.something_new","event_ts":{"a":1},"payload":`+payload+`}`)
			require.Equal(t, "meeting.something_new", event.Name)
			require.Len(t, event.ID, 64)
		}
	})
}

func TestEventIDIgnoresTokens(t *testing.T) {
	t.Parallel()
	const format = `{"event":"%s","event_ts":%d,"payload":{"account_id":"a","object":{"id":"1","uuid":"u","participant":{"user_id":"%s","leave_time":"2021-07-13T21:44:51Z"}},"token":"%s"}}`
	key := func(name string, ts int, user, token string) string {
		box := newInbox(t, vectorSecret)
		body := fmt.Sprintf(format, name, ts, user, token)
		timestamp, good := sign(body)
		require.Equal(t, http.StatusOK, box.post(timestamp, good, body).Code)
		return box.events[0].ID
	}
	one := key("meeting.participant_left", 1626230691572, "17", "x")
	require.Equal(t, one, key("meeting.participant_left", 1626230691572, "17", "y"), "a token is new with each delivery")
	require.NotEqual(t, one, key("meeting.participant_left", 1626230691573, "17", "x"))
	require.NotEqual(t, one, key("meeting.participant_left", 1626230691572, "18", "x"))
	require.NotEqual(t, one, key("meeting.participant_joined", 1626230691572, "17", "x"))
}

func TestEventsPrintNothing(t *testing.T) {
	t.Parallel()
	box := newInbox(t, vectorSecret)
	body := strings.Replace(startedBody, "HOLA", "Asha", 1)
	timestamp, good := sign(body)
	require.Equal(t, http.StatusOK, box.post(timestamp, good, body).Code)
	event := box.events[0]
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("got", "event", event)
	encoded, err := json.Marshal(map[string]any{"event": event})
	require.NoError(t, err)
	printed := fmt.Sprintf("%v %+v %#v %s", event, event, event, log.String()) + string(encoded)
	require.NotContains(t, printed, "Asha")
	require.NotContains(t, printed, "65 115 104 97", "nor as bytes")
	require.Contains(t, printed, "85393847045")
}

func TestOfficialExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../shared/fixtures/zoom/webhook-examples/*.json")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("Zoom's own webhook examples are not on this machine: that each of them is an event with a time and an ID of its own " +
			"would be shown; TestEventShapes and TestWhoItIs read such as were written by hand")
	}
	box := newInbox(t, vectorSecret)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		timestamp, good := sign(string(body))
		require.Equal(t, http.StatusOK, box.post(timestamp, good, string(body)).Code, file)
	}
	require.Len(t, box.events, len(files))
	keys := map[string]string{}
	for i, event := range box.events {
		require.False(t, event.Time.IsZero(), event.Name)
		if filepath.Base(files[i]) == event.Name+".json" { // one example has another event's name
			require.Empty(t, keys[event.ID], event.Name)
			keys[event.ID] = event.Name
		}
		if strings.HasPrefix(event.Name, "meeting.participant_") {
			require.NotEmpty(t, event.Meeting.ID, event.Name)
		}
	}
}

func FuzzWebhook(f *testing.F) {
	f.Add([]byte(startedBody))
	f.Add([]byte(validationBody))
	f.Add([]byte(`{"event":"app_deauthorized","payload":{"event_ts":"2024-09-08 15:58:40"}}`))
	f.Add([]byte(`{"event":"x","payload":{"object":{"id":1e99,"participant":{"user_id":-0}}}}`))
	handler, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: []telemed.Secret{telemed.NewSecret(vectorSecret)},
		Handle: func(_ context.Context, event zoom.Event) error {
			if event.Name == "" || len(event.ID) != 64 {
				return errors.New("no event")
			}
			return nil
		},
	})
	require.NoError(f, err)
	box := &inbox{handler: handler}
	f.Fuzz(func(t *testing.T, body []byte) {
		timestamp, good := sign(string(body))
		if code := box.post(timestamp, good, string(body)).Code; code != 200 && code != 400 && code != 500 {
			t.Errorf("signed: %d", code)
		}
		if code := box.post(timestamp, good[:len(good)-1]+"g", string(body)).Code; code != 401 {
			t.Errorf("forged: %d", code)
		}
	})
}

// soon is a ResponseWriter on which ten seconds are a tenth of one.
type soon struct {
	http.ResponseWriter
	deadlines *[]time.Time
}

func (s soon) SetReadDeadline(at time.Time) error {
	*s.deadlines = append(*s.deadlines, at)
	if !at.IsZero() {
		at = at.Add(-9900 * time.Millisecond)
	}
	return http.NewResponseController(s.ResponseWriter).SetReadDeadline(at)
}

// Somebody sends half a body and then nothing: the goroutine and the connection must come
// free.
func TestWebhookSlowBody(t *testing.T) {
	t.Parallel()
	box := newInbox(t, vectorSecret)
	var deadlines []time.Time
	returned := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		box.handler.ServeHTTP(soon{rw, &deadlines}, r)
		returned <- struct{}{}
	}))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))

	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nX-Zm-Request-Timestamp: %s\r\nX-Zm-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
		startedTime, startedSignature, len(startedBody), startedBody)
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	<-returned
	require.Len(t, deadlines, 2)
	require.WithinDuration(t, time.Now().Add(10*time.Second), deadlines[0], 5*time.Second)
	require.Zero(t, deadlines[1], "the next request on the connection has its own time")

	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"event\":")
	require.NoError(t, err)
	answer, err = http.ReadResponse(reader, nil)
	require.NoError(t, err, "the handler waits for a body that does not come")
	require.Equal(t, http.StatusRequestTimeout, answer.StatusCode)
	_, err = io.ReadAll(answer.Body)
	require.NoError(t, err)
	_, err = reader.ReadByte()
	require.ErrorIs(t, err, io.EOF, "the server ends the connection")
	<-returned
	require.Len(t, deadlines, 3)
}
