package razorpay

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/telemed-go/telemed/internal/rest"
)

// exchange sits under razorpay-go for the length of one call. razorpay-go builds the
// request: authentication, URL, headers. The body and everything after that are ours,
// because razorpay-go
//
//   - has no context,
//   - encodes maps, which costs more than structs and says nothing of what is sent,
//   - takes a cut answer for an empty one,
//   - reads numbers as floats,
//   - keeps of an error its description alone.
//
// The context sits in a struct, against the rule, because razorpay-go leaves no other way
// in.
type exchange struct {
	ctx    context.Context
	base   http.RoundTripper
	body   []byte // nil for a GET
	answer *rest.Answer
	err    error // a *rest.Error
}

// RoundTrip implements http.RoundTripper. razorpay-go is content with an empty answer.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.WithContext(x.ctx)
	if x.body != nil {
		req.ContentLength = int64(len(x.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.body)), nil }
		req.Body, _ = req.GetBody()
	}
	x.answer, x.err = rest.Result(x.base.RoundTrip(req))
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// call is one request to the API.
type call struct {
	op     string // for errors: the method that the application called
	method string
	path   string            // built by rest.Path
	query  map[string]any    // of a GET
	body   any               // of a POST, encoded as JSON
	header map[string]string // may be nil
	repeat bool              // a POST that Razorpay does once, however often it is sent
}

// send has razorpay-go build the request. An error is a *rest.Error.
func (c *Client) send(ctx context.Context, req call) (*rest.Answer, error) {
	x := &exchange{ctx: ctx, base: c.http.Transport}
	client, builder := *c.http, *c.api.Request // copies: they are this call's own
	client.Transport, builder.HTTPClient = x, &client
	if req.method == http.MethodGet {
		_, _ = builder.Get(req.path, req.query, req.header)
	} else {
		x.body, _ = json.Marshal(req.body) // numbers and texts
		_, _ = builder.Post(req.path, nil, req.header)
	}
	return x.answer, x.err
}
