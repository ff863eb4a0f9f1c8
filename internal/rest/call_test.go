package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
)

func api(url string, client *http.Client) *rest.Client { return &rest.Client{Base: url, HTTP: client} }

func respond(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Request-Id", "req-1")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	var got struct{ ID string }
	_, url, client := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "expand=a+b" || r.Header.Get("Accept") != "application/json" || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(400)
		}
		respond(201, "application/json", `{"id":"m1"}`)(w, r)
	})
	resp, err := api(url, client).Do(t.Context(), rest.Request{
		Method: http.MethodPost, Path: rest.Path("users", "me"), Query: map[string][]string{"expand": {"a b"}}, JSON: map[string]int{"a": 1},
	}, &got)
	require.NoError(t, err)
	require.Equal(t, 201, resp.Status)
	require.Equal(t, "req-1", resp.Header.Get("X-Request-Id"))
	require.Equal(t, "m1", got.ID)
}

func TestAnswersThatAreNotTrusted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		handler http.HandlerFunc
		text    string
		write   error
		read    error
	}{
		"empty":       {respond(200, "application/json", ""), "200: answer is empty", telemed.ErrAmbiguous, telemed.ErrUnavailable},
		"HTML":        {respond(200, "text/html", "<p>patient Asha</p>"), `200: answer is "text/html", not JSON`, telemed.ErrAmbiguous, telemed.ErrUnavailable},
		"not JSON":    {respond(200, "application/json", `{"id":`), "200: answer is not the JSON that was expected", telemed.ErrAmbiguous, telemed.ErrUnavailable},
		"wrong type":  {respond(200, "application/json", `{"id":[]}`), "200: answer is not the JSON that was expected", telemed.ErrAmbiguous, telemed.ErrUnavailable},
		"too long":    {respond(200, "application/json", `{"id":"`+strings.Repeat("x", 2000)+`"}`), "200: answer is longer than 1000 bytes", telemed.ErrAmbiguous, telemed.ErrUnavailable},
		"cut":         {cut, "200: answer was cut off: unexpected EOF", telemed.ErrAmbiguous, telemed.ErrUnavailable},
		"hung up":     {hangUp, "no answer: EOF", telemed.ErrAmbiguous, telemed.ErrUnavailable},
		"redirect":    {respond(302, "text/html", ""), "302 found", telemed.ErrUnavailable, telemed.ErrUnavailable},
		"400":         {respond(400, "application/json", "{}"), "400 bad request", telemed.ErrInvalid, telemed.ErrInvalid},
		"401":         {respond(401, "application/json", "{}"), "401 unauthorized", telemed.ErrUnauthorized, telemed.ErrUnauthorized},
		"403":         {respond(403, "application/json", "{}"), "403 forbidden", telemed.ErrForbidden, telemed.ErrForbidden},
		"404":         {respond(404, "application/json", "{}"), "404 not found", telemed.ErrNotFound, telemed.ErrNotFound},
		"409":         {respond(409, "application/json", "{}"), "409 conflict", telemed.ErrConflict, telemed.ErrConflict},
		"429":         {respond(429, "application/json", "{}"), "429 too many requests", telemed.ErrRateLimited, telemed.ErrRateLimited},
		"502 in HTML": {respond(502, "text/html", "<h1>bad</h1>"), "502 bad gateway", telemed.ErrAmbiguous, telemed.ErrUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, url, client := start(t, test.handler)
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			client.Transport.(*rest.Transport).MaxBody = 1000
			for method, kind := range map[string]error{http.MethodPost: test.write, http.MethodGet: test.read} {
				_, err := api(url, client).Do(t.Context(), rest.Request{Method: method}, &struct{ ID string }{})
				require.EqualError(t, err, test.text)
				failure, ok := errors.AsType[*rest.Error](err)
				require.True(t, ok)
				require.Equal(t, kind, failure.Kind, method)
			}
		})
	}
}

func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "300")
	_, _ = io.WriteString(w, `{"id":"m1"`)
}

func TestErrorsHideTheAddress(t *testing.T) {
	t.Parallel()
	client := rest.HTTPClient(nil, rest.Transport{MinWait: time.Millisecond})
	_, err := api("http://127.0.0.1:1/secret-path", client).Do(t.Context(), rest.Request{Query: url.Values{"token": {"canary"}}}, nil)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret-path")
	require.NotContains(t, err.Error(), "canary")
	failure, _ := errors.AsType[*rest.Error](err)
	require.True(t, failure.Unsent)
	require.Equal(t, telemed.ErrUnavailable, failure.Kind, "what was never sent did not happen")

	_, err = api("http://[::1", client).Do(t.Context(), rest.Request{}, nil)
	require.EqualError(t, err, "no answer: request cannot be built from this address")
	_, err = api("http://127.0.0.1:1", client).Do(t.Context(), rest.Request{JSON: func() {}}, nil)
	require.ErrorContains(t, err, "encode request")
}

func TestContextEndsTheCall(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	_, url, client := start(t, func(http.ResponseWriter, *http.Request) { cancel(); <-release })
	t.Cleanup(func() { close(release) })
	_, err := api(url, client).Do(ctx, rest.Request{Method: http.MethodPost, JSON: struct{}{}}, nil)
	require.ErrorIs(t, err, context.Canceled)
	failure, _ := errors.AsType[*rest.Error](err)
	require.Equal(t, telemed.ErrAmbiguous, failure.Kind)
}

func TestPath(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/users/me/meetings", rest.Path("users", "me", "meetings"))
	require.Equal(t, "/orders/..%2Fpayments%2Fpay_1%3Fx%3D%23", rest.Path("orders", "../payments/pay_1?x=#"))
	require.Equal(t, "/orders/%2E%2E", rest.Path("orders", ".."))
	require.Equal(t, "%2FabcABC123%3D%3D", rest.Escape("/abcABC123=="))
	require.Equal(t, "a%20b%2Bc%0A", rest.Escape("a b+c\n"))
}
