package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
)

// DefaultTimeout bounds a whole call, retries included, when the host's context has no nearer end.
const DefaultTimeout = 30 * time.Second

// DefaultMaxBody is how many bytes of an answer are read at most: 4 MiB.
const DefaultMaxBody = 4 << 20

// Client makes calls to one API. Its fields must not change after the first
// call; then it is safe for concurrent use.
type Client struct {
	// Base is the URL that paths are appended to, without a slash at its end.
	Base string
	// HTTP sends the requests. Required; see [HTTPClient].
	HTTP *http.Client
	// Header is added to each request. May be nil.
	Header http.Header
	// MaxBody limits an answer in bytes. If 0, DefaultMaxBody.
	MaxBody int64
	// RequestID names the response header with the provider's id for the request.
	RequestID string
}

// HTTPClient returns the client that calls go through: the host's, or an empty one, with the retrying
// transport around its transport, which keeps its timeout (see [TimeoutOf]), and redirects
// refused (a redirect would carry credentials to another host).
func HTTPClient(host *http.Client, t Transport) *http.Client {
	client := &http.Client{}
	if host != nil {
		copied := *host
		client = &copied
	}
	t.Timeout, client.Timeout = TimeoutOf(host), 0
	if t.Base == nil {
		t.Base = client.Transport
	}
	client.Transport = &t
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// TimeoutOf returns how long a call may take: the host client's Timeout, or DefaultTimeout if that
// is not set, as in a client that is there for its transport alone.
func TimeoutOf(host *http.Client) time.Duration {
	if host == nil || host.Timeout <= 0 {
		return DefaultTimeout
	}
	return host.Timeout
}

// Request is one call.
type Request struct {
	// Method is the HTTP method; if empty, GET.
	Method string
	// Path is appended to the client's Base; build it with [Path].
	Path string
	// Query is added to the URL.
	Query url.Values
	// Header is added to the request, over the client's.
	Header http.Header
	// JSON is encoded as the body, if not nil.
	JSON any
	// Form is sent as the body if JSON is nil and Form is not.
	Form url.Values
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

// Response is an answer, read to its end.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte
	RequestID string
}

// Error is a call that did not succeed. Its text has no URL, header or body of
// the exchange; Body is for the caller to decode and then drop.
type Error struct {
	// Status is the HTTP status, 0 if there was no whole answer.
	Status int
	// Header and Body are the answer's. Never log them.
	Header http.Header
	Body   []byte
	// RequestID is the provider's id for the request, if it sent one.
	RequestID string
	// RetryAfter is what the provider asked for, 0 if nothing.
	RetryAfter time.Duration
	// Unsent is true if the request surely had no effect.
	Unsent bool
	// Err is the cause if there was no whole answer.
	Err error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		if e.Err != nil {
			return fmt.Sprintf("%d: %v", e.Status, e.Err)
		}
		return fmt.Sprintf("%d %s", e.Status, strings.ToLower(http.StatusText(e.Status)))
	}
	return fmt.Sprintf("no answer: %v", e.Err)
}

// Unwrap returns the cause: a context's error, for instance.
func (e *Error) Unwrap() error { return e.Err }

// Kind returns the shared error value for the outcome, by what HTTP alone tells.
// A provider's own codes tell more; look at them first. write says whether the
// request was to change something: then a lost answer is ErrAmbiguous.
func (e *Error) Kind(write bool) error {
	switch {
	case e.Unsent && e.Status != http.StatusTooManyRequests:
		return telemed.ErrUnavailable
	case e.Status == 0 || e.Status < 300: // a cut or unreadable answer to something that may have been done
		if write {
			return telemed.ErrAmbiguous
		}
		return telemed.ErrUnavailable
	case e.Status == http.StatusTooManyRequests:
		return telemed.ErrRateLimited
	case e.Status == http.StatusUnauthorized:
		return telemed.ErrUnauthorized
	case e.Status == http.StatusForbidden:
		return telemed.ErrForbidden
	case e.Status == http.StatusNotFound || e.Status == http.StatusGone:
		return telemed.ErrNotFound
	case e.Status == http.StatusConflict || e.Status == http.StatusPreconditionFailed:
		return telemed.ErrConflict
	case e.Status >= 500 || e.Status == http.StatusRequestTimeout:
		if write {
			return telemed.ErrAmbiguous
		}
		return telemed.ErrUnavailable
	case e.Status < 400: // a redirect, which is not followed
		return telemed.ErrUnavailable
	}
	return telemed.ErrInvalid
}

// Do makes the call. A 2xx answer is decoded into out, unless out is nil or the
// status is 204; an empty, cut or unreadable body is then an error. Every error is an *Error.
func (c *Client) Do(ctx context.Context, call Request, out any) (*Response, error) {
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, &Error{Unsent: true, Err: err}
	}
	answer, err := c.HTTP.Do(req)
	if err != nil {
		return nil, &Error{Unsent: Unsent(err), Err: WithoutURL(err)}
	}
	resp, err := c.read(answer)
	if err != nil {
		return resp, c.failed(resp, err)
	}
	if resp.Status < 200 || resp.Status > 299 {
		return resp, c.failed(resp, nil)
	}
	if out == nil || resp.Status == http.StatusNoContent {
		return resp, nil
	}
	if err := decode(resp, out); err != nil {
		return resp, c.failed(resp, err)
	}
	return resp, nil
}

func (c *Client) failed(resp *Response, err error) *Error {
	wait, _ := RetryAfter(resp.Header, time.Now())
	return &Error{
		Status: resp.Status, Header: resp.Header, Body: resp.Body, RequestID: resp.RequestID,
		RetryAfter: wait, Unsent: resp.Status == http.StatusTooManyRequests, Err: err,
	}
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
	}
	target := c.Base + call.Path
	if len(call.Query) > 0 {
		target += "?" + call.Query.Encode()
	}
	method := call.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, errors.New("request cannot be built from this address")
	}
	for _, header := range []http.Header{c.Header, call.Header} {
		maps.Copy(req.Header, header)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}

func (c *Client) read(answer *http.Response) (*Response, error) {
	defer answer.Body.Close()
	limit := c.MaxBody
	if limit == 0 {
		limit = DefaultMaxBody
	}
	resp := &Response{Status: answer.StatusCode, Header: answer.Header}
	if c.RequestID != "" {
		resp.RequestID = answer.Header.Get(c.RequestID)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return resp, fmt.Errorf("answer was cut off: %w", WithoutURL(err))
	}
	if int64(len(body)) > limit {
		return resp, fmt.Errorf("answer is longer than %d bytes", limit)
	}
	resp.Body = body
	return resp, nil
}

// decode never quotes the body in its error: it may hold a patient's data.
func decode(resp *Response, out any) error {
	if len(bytes.TrimSpace(resp.Body)) == 0 {
		return errors.New("answer is empty")
	}
	if err := json.Unmarshal(resp.Body, out); err != nil {
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if kind != "" && kind != "application/json" {
			return fmt.Errorf("answer is %.40q, not JSON", kind)
		}
		return errors.New("answer is not the JSON that was expected")
	}
	return nil
}

// WithoutURL returns err without *url.Error, whose text has the whole address in it.
func WithoutURL(err error) error {
	if withURL, ok := errors.AsType[*url.Error](err); ok {
		return withURL.Err
	}
	return err
}
