package razorpay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
)

// exchange sits under razorpay-go for the length of one call. razorpay-go
// builds the request (authentication, URL, JSON); everything after that is
// done here, because it has no context, takes a cut answer for an empty one,
// reads numbers as floats and keeps of an error its description alone. It gets
// an empty document to be content with.
//
// The context sits in a struct, against the rule, because razorpay-go leaves no
// other way in; the struct lives no longer than the call.
type exchange struct {
	ctx    context.Context
	client *http.Client

	body []byte
	err  *rest.Error
	cut  bool // the answer broke off in its body
}

// RoundTrip implements http.RoundTripper.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	x.body, x.err = x.send(req.WithContext(x.ctx))
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte("{}"))), ContentLength: 2, Request: req,
	}, nil
}

func (x *exchange) send(req *http.Request) ([]byte, *rest.Error) {
	resp, err := x.client.Do(req)
	if err != nil {
		return nil, &rest.Error{Unsent: rest.Unsent(err), Err: withoutURL(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, rest.DefaultMaxBody+1))
	switch {
	case err != nil:
		x.cut = true
		err = fmt.Errorf("answer was cut off: %w", withoutURL(err))
	case len(body) > rest.DefaultMaxBody:
		err = fmt.Errorf("answer is longer than %d bytes", rest.DefaultMaxBody)
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return body, nil
	}
	wait, _ := rest.RetryAfter(resp.Header, time.Now())
	return nil, &rest.Error{
		Status: resp.StatusCode, Header: resp.Header, Body: body, RequestID: requestID(resp.Header),
		RetryAfter: wait, Unsent: resp.StatusCode == http.StatusTooManyRequests, Err: err,
	}
}

// withoutURL strips *url.Error, whose text has the whole address in it.
func withoutURL(err error) error {
	if withURL, ok := errors.AsType[*url.Error](err); ok {
		return withURL.Err
	}
	return err
}

func requestID(h http.Header) string {
	for _, name := range []string{"X-Razorpay-Request-Id", "X-Request-Id", "Request-Id"} {
		if id := h.Get(name); plain(id, 128) {
			return id
		}
	}
	return ""
}

// call is one request to the API.
type call struct {
	op     string // for errors: the method that the host called
	method string
	path   string            // built by rest.Path
	data   map[string]any    // query of a GET, JSON body of a POST
	header map[string]string // may be nil
	repeat bool              // a POST that Razorpay does once, however often it is sent
}

// document is what an answer is decoded into: an entity that knows whether it is whole.
type document interface{ whole() bool }

// do makes the call and decodes the answer into out. Every error is an *Error.
func (c *Client) do(ctx context.Context, req call, out document) error {
	if req.repeat {
		ctx = rest.Repeatable(ctx)
	}
	start := time.Now()
	cut, err := c.try(ctx, req, out)
	if cut && (req.repeat || req.method == http.MethodGet) { // the transport repeats until there is an answer, cut or not
		_, again := c.try(ctx, req, out)
		err = settle(err, again)
	}
	c.log(ctx, req.op, err, time.Since(start))
	return err
}

// try makes the call once, as far as the transport does, and reports whether its answer was cut.
func (c *Client) try(ctx context.Context, req call, out document) (cut bool, err error) {
	x := c.exchange(ctx, req)
	failed := x.err
	if failed == nil {
		failed = decode(x.body, out)
	}
	if failed != nil {
		return x.cut, newError(req.op, failed, req.method != http.MethodGet)
	}
	return false, nil
}

// settle is what two tries of one request come to. If nobody knows what became
// of the first, a second that was not looked at does not tell either: the
// outcome stays open, and only the wait that was asked for is new.
func settle(first, second error) error {
	open, _ := errors.AsType[*Error](first)
	turned, ok := errors.AsType[*Error](second)
	if !ok || open == nil || !open.Is(telemed.ErrAmbiguous) {
		return second
	}
	notLookedAt := []error{telemed.ErrUnavailable, telemed.ErrRateLimited, telemed.ErrUnauthorized, telemed.ErrForbidden}
	if !slices.ContainsFunc(notLookedAt, turned.Is) {
		return second
	}
	still := *open
	still.RetryAfter = turned.RetryAfter
	return &still
}

// exchange has razorpay-go build the request. What razorpay-go returns is of no
// interest; the exchange has it all.
func (c *Client) exchange(ctx context.Context, req call) *exchange {
	x := &exchange{ctx: ctx, client: c.http}
	builder := *c.api.Request // a copy: the HTTP client in it is this call's own
	builder.HTTPClient = &http.Client{Transport: x}
	if req.method == http.MethodGet {
		_, _ = builder.Get(req.path, req.data, req.header)
	} else {
		_, _ = builder.Post(req.path, req.data, req.header)
	}
	return x
}

// decode never quotes the body in its error: it may hold a payer's data.
func decode(body []byte, out document) *rest.Error {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return &rest.Error{Status: http.StatusOK, Err: errors.New("answer is empty")}
	case json.Unmarshal(body, out) != nil:
		return &rest.Error{Status: http.StatusOK, Err: errors.New("answer is not the JSON that was expected")}
	case !out.whole():
		return &rest.Error{Status: http.StatusOK, Err: errors.New("answer lacks the id")}
	}
	return nil
}

func (c *Client) log(ctx context.Context, op string, err error, took time.Duration) {
	attrs := []slog.Attr{slog.String("op", op), slog.Duration("took", took), slog.Bool("ok", err == nil)}
	if e, ok := errors.AsType[*Error](err); ok {
		attrs = append(attrs, slog.Int("status", e.Status), slog.String("request_id", e.RequestID))
	}
	c.logger.LogAttrs(ctx, slog.LevelDebug, "razorpay call", attrs...)
}

// bounded gives a call of the host an end if its context has none.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, rest.DefaultTimeout)
}

func itoa(n int) string { return strconv.Itoa(n) }
