package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
)

// document is what the tests ask for.
type document struct {
	ID string `json:"id"`
}

// Check implements the method that Decode calls.
func (d *document) Check() error {
	if d.ID == "" {
		return errors.New("answer lacks the id")
	}
	return nil
}

// A cut answer is a failed attempt: it is repeated where that is safe, and in doubt
// nobody knows.
func TestACutAnswerIsAFailedAttempt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method string
		ctx    func(context.Context) context.Context
		first  http.HandlerFunc
		sent   int32
		want   error
	}{
		"GET":              {http.MethodGet, nil, cut, 2, nil},
		"DELETE":           {http.MethodDelete, nil, cut, 2, nil},
		"POST":             {http.MethodPost, nil, cut, 1, telemed.ErrAmbiguous},
		"repeatable POST":  {http.MethodPost, rest.Repeatable, cut, 2, nil},
		"GET once":         {http.MethodGet, rest.Once, cut, 1, telemed.ErrUnavailable},
		"a cut refusal":    {http.MethodGet, nil, cutWith(404), 1, telemed.ErrNotFound},
		"a cut 503":        {http.MethodGet, nil, cutWith(503), 2, nil},
		"too long, GET":    {http.MethodGet, nil, respond(200, "application/json", strings.Repeat(" ", 2000)), 1, telemed.ErrUnavailable},
		"too long refusal": {http.MethodPost, nil, respond(403, "application/json", strings.Repeat(" ", 2000)), 1, telemed.ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url, client := start(t, test.first, respond(200, "application/json", `{"id":"m1"}`))
			client.Transport.(*rest.Transport).MaxBody = 1000
			ctx := t.Context()
			if test.ctx != nil {
				ctx = test.ctx(ctx)
			}
			var got document
			_, err := api(url, client).Do(ctx, rest.Request{Method: test.method}, &got)
			require.Equal(t, test.sent, s.requests.Load())
			if test.want == nil {
				require.NoError(t, err)
				require.Equal(t, "m1", got.ID)
				return
			}
			failure, ok := errors.AsType[*rest.Error](err)
			require.True(t, ok)
			require.Equal(t, test.want, failure.Kind)
			require.Nil(t, failure.Body, "half a document is nobody's word")
		})
	}
}

func cutWith(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "300")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"id":"m1"`)
	}
}

// classify reads a provider that says "busy" with 403, "down" with 200, "ended" with 400,
// and "no" with any status. Whatever is no JSON is not its own.
func classify(a *rest.Answer) (rest.Outcome, error) {
	outcome, kind := rest.ByStatus(a)
	var said struct{ Code string }
	if json.Unmarshal(a.Body, &said) != nil && a.Err == nil && outcome != rest.Done {
		return rest.Foreign, kind
	}
	switch said.Code {
	case "busy":
		return rest.Busy, telemed.ErrRateLimited
	case "midnight":
		a.RetryAfter = time.Hour
		return rest.Busy, telemed.ErrRateLimited
	case "down":
		return rest.Open, a.Unknown()
	case "ended":
		a.Status = http.StatusUnauthorized
		return rest.Refused, telemed.ErrUnauthorized
	case "no":
		return rest.Refused, telemed.ErrConflict
	}
	return outcome, kind
}

func say(status int, code string) http.HandlerFunc {
	return respond(status, "application/json", fmt.Sprintf(`{"code":%q}`, code))
}

func TestClassify(t *testing.T) {
	t.Parallel()
	good := respond(200, "application/json", `{"id":"m1"}`)
	page := respond(404, "text/html", "<h1>no such host</h1>")
	for name, test := range map[string]struct {
		method string
		first  http.HandlerFunc
		then   http.HandlerFunc
		sent   int32
		want   error
		status int
		wait   time.Duration
	}{
		"busy is repeated, whatever it was":       {http.MethodPost, say(403, "busy"), good, 2, nil, 0, 0},
		"busy for too long is not":                {http.MethodGet, say(403, "midnight"), good, 1, telemed.ErrRateLimited, 403, time.Hour},
		"open is repeated where that is safe":     {http.MethodGet, say(200, "down"), good, 2, nil, 0, 0},
		"open is not repeated where it is not":    {http.MethodPost, say(200, "down"), good, 1, telemed.ErrAmbiguous, 200, 0},
		"a refusal is final":                      {http.MethodGet, say(400, "no"), good, 1, telemed.ErrConflict, 400, 0},
		"a refusal with a good status":            {http.MethodPost, say(200, "no"), good, 1, telemed.ErrConflict, 200, 0},
		"the status is mended":                    {http.MethodGet, say(400, "ended"), good, 1, telemed.ErrUnauthorized, 401, 0},
		"a gateway's page is final":               {http.MethodGet, page, good, 1, telemed.ErrNotFound, 404, 0},
		"open, then done":                         {http.MethodPut, say(200, "down"), good, 2, nil, 0, 0},
		"open, then refused":                      {http.MethodPut, say(200, "down"), say(400, "no"), 2, telemed.ErrConflict, 400, 0},
		"open, then a gateway's page":             {http.MethodPut, say(200, "down"), page, 2, telemed.ErrAmbiguous, 404, 0},
		"open, then turned away":                  {http.MethodPut, say(200, "down"), say(400, "ended"), 2, telemed.ErrAmbiguous, 401, 0},
		"open, then busy for too long":            {http.MethodPut, say(200, "down"), say(403, "midnight"), 2, telemed.ErrAmbiguous, 403, time.Hour},
		"open to a reader, then a gateway's page": {http.MethodGet, say(200, "down"), page, 2, telemed.ErrNotFound, 404, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url, client := start(t, test.first, test.then)
			client.Transport.(*rest.Transport).Classify = classify
			_, err := api(url, client).Do(t.Context(), rest.Request{Method: test.method}, &document{})
			require.Equal(t, test.sent, s.requests.Load())
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			failure, ok := errors.AsType[*rest.Error](err)
			require.True(t, ok)
			require.Equal(t, test.want, failure.Kind)
			require.Equal(t, test.status, failure.Status)
			require.Equal(t, test.wait, failure.RetryAfter)
		})
	}
}

// Who stands above the transport sees an ordinary response, with what the classifier
// corrected.
func TestResponseAboveTheTransport(t *testing.T) {
	t.Parallel()
	_, url, client := start(t, say(400, "ended"))
	client.Transport.(*rest.Transport).Classify = classify
	resp, err := client.Get(url)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"code":"ended"}`, string(body))
	require.EqualValues(t, len(body), resp.ContentLength)
	require.NoError(t, resp.Body.Close())
}

func TestMisfit(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		kind error
		text string
	}{
		`{"code":"no"}`: {telemed.ErrConflict, "200: answer lacks the id"},
		`{}`:            {telemed.ErrAmbiguous, "200: answer lacks the id"},
		`[]`:            {telemed.ErrAmbiguous, "200: answer is not the JSON that was expected"},
	} {
		_, url, client := start(t, respond(200, "text/plain", body))
		client.Transport.(*rest.Transport).Classify = func(a *rest.Answer) (rest.Outcome, error) {
			if a.Err == nil { // it looks good until somebody wants something of it
				return rest.Done, nil
			}
			return classify(a)
		}
		_, err := api(url, client).Do(t.Context(), rest.Request{Method: http.MethodPost}, &document{})
		require.EqualError(t, err, want.text)
		failure, _ := errors.AsType[*rest.Error](err)
		require.Equal(t, want.kind, failure.Kind, body)
	}
}

// An error from above the transport, such as that of a token source, means that nothing
// was sent.
func TestResultOfWhatWasNotSent(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: failing{telemed.ErrNotConnected}}
	_, err := rest.Result(client.Get("https://api.example/secret-path"))
	failure, ok := errors.AsType[*rest.Error](err)
	require.True(t, ok)
	require.True(t, failure.Unsent)
	require.Equal(t, telemed.ErrUnavailable, failure.Kind)
	require.ErrorIs(t, err, telemed.ErrNotConnected)
	require.NotContains(t, err.Error(), "secret-path")
}

// The end of a pause is told beside the answer that was at hand.
func TestAnEndedPauseKeepsTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		client := rest.HTTPClient(&http.Client{Transport: answering(func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"5"}}}
		})}, rest.Transport{})
		_, err := api("https://api.example", client).Do(ctx, rest.Request{Method: http.MethodPost}, nil)
		require.ErrorIs(t, err, context.Canceled)
		failure, _ := errors.AsType[*rest.Error](err)
		require.Equal(t, telemed.ErrRateLimited, failure.Kind)
		require.Equal(t, 5*time.Second, failure.RetryAfter)
	})
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return a(req), nil
}

// BenchmarkCall is a POST and the decoding of its answer, without a network.
func BenchmarkCall(b *testing.B) {
	body := `{"id":"m1","topic":"` + strings.Repeat("x", 500) + `"}`
	client := rest.HTTPClient(&http.Client{Transport: answering(func(*http.Request) *http.Response {
		return &http.Response{
			StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}
	})}, rest.Transport{})
	c := api("https://api.example", client)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Do(b.Context(), rest.Request{Method: http.MethodPost, JSON: 1}, &document{}); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleTransport_Classify() {
	srv := httptest.NewServer(say(200, "no"))
	defer srv.Close()
	client := rest.Client{Base: srv.URL, HTTP: rest.HTTPClient(nil, rest.Transport{Classify: classify})}
	_, err := client.Do(context.Background(), rest.Request{Method: http.MethodPost}, &document{})
	if failure, ok := errors.AsType[*rest.Error](err); ok {
		fmt.Println(failure.Status, failure.Kind)
	}
	// Output: 200 conflict with the current state
}
