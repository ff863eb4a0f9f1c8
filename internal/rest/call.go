package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
)

// DefaultTimeout bounds a whole call, repeats included, when the context has no nearer
// end.
const DefaultTimeout = 30 * time.Second

// Client makes calls to one API. Its fields must not change after the first
// call; then it is safe for concurrent use.
type Client struct {
	// Base is the URL that paths are appended to, without a slash at its end.
	Base string
	// HTTP sends the requests, through a [Transport]. Required; see [HTTPClient].
	HTTP *http.Client
	// Header is added to each request. May be nil.
	Header http.Header
}

// HTTPClient returns the client that calls go through: the application's, or an empty
// one. Around its transport it has t, which keeps its timeout (see [TimeoutOf]). It
// refuses redirects, which would carry credentials to another host.
func HTTPClient(application *http.Client, t Transport) *http.Client {
	client := &http.Client{}
	if application != nil {
		copied := *application
		client = &copied
	}
	t.Timeout, client.Timeout = TimeoutOf(application), 0
	if t.Base == nil {
		t.Base = client.Transport
	}
	client.Transport = &t
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// TimeoutOf returns how long a call may take: the application's client's Timeout, or
// DefaultTimeout if that is not set, as in a client that is there for its transport
// alone.
func TimeoutOf(application *http.Client) time.Duration {
	if application == nil || application.Timeout <= 0 {
		return DefaultTimeout
	}
	return application.Timeout
}

// Request is one call.
type Request struct {
	// Method is the HTTP method; if empty, GET.
	Method string
	// Path is appended to the client's Base; build it with [Path].
	Path string
	// Query is added to the URL.
	Query url.Values
	// JSON is encoded as the body, if not nil.
	JSON any
	// Form is sent as the body if JSON is nil and Form is not.
	Form url.Values
	// Body is sent as it is, with ContentType, if JSON and Form are nil and Body is not.
	Body        []byte
	ContentType string
}

// Path joins segments with slashes, each escaped whole: an id with a slash, a
// question mark or dots in it stays one segment.
func Path(segments ...string) string {
	var b strings.Builder
	for _, segment := range segments {
		b.WriteByte('/')
		b.WriteString(Escape(segment))
	}
	return b.String()
}

// Escape escapes one path segment as JavaScript's encodeURIComponent does, and
// also the segments "." and "..", which would climb.
func Escape(segment string) string {
	if segment == "." || segment == ".." {
		return strings.ReplaceAll(segment, ".", "%2E")
	}
	return strings.ReplaceAll(url.QueryEscape(segment), "+", "%20")
}

// Do makes the call and decodes its answer into out, unless out is nil; see
// [Answer.Decode]. Every error is an *Error.
func (c *Client) Do(ctx context.Context, call Request, out any) (*Answer, error) {
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, &Error{Answer: Answer{Err: err}, Kind: telemed.ErrUnavailable, Unsent: true}
	}
	answer, err := Result(c.HTTP.Do(req))
	if err != nil || out == nil {
		return answer, err
	}
	if err := answer.Decode(out); err != nil {
		return nil, err
	}
	return answer, nil
}

func (c *Client) request(ctx context.Context, call Request) (*http.Request, error) {
	var (
		body        io.Reader
		contentType string
	)
	switch {
	case call.JSON != nil:
		encoded, err := json.Marshal(call.JSON)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body, contentType = bytes.NewReader(encoded), "application/json"
	case call.Form != nil:
		body, contentType = strings.NewReader(call.Form.Encode()), "application/x-www-form-urlencoded"
	case call.Body != nil:
		body, contentType = bytes.NewReader(call.Body), call.ContentType
	}
	target := c.Base + call.Path
	if len(call.Query) > 0 {
		target += "?" + call.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, target, body)
	if err != nil {
		return nil, errors.New("request cannot be built from this address")
	}
	maps.Copy(req.Header, c.Header)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}
