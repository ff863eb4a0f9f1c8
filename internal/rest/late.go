package rest

import (
	"io"
	"net/http"

	"github.com/telemed-go/telemed/internal/wait"
)

// A process can stand still between the decision to send a request and its first byte: on
// a busy machine that takes a while, with a connection to be made. What has to be begun by
// a time ([wait.BeginBy]) looks at the clock once more when net/http asks for the body. A
// server that gets the head alone has got no request.

// heldBack returns req with a body that is not sent too late, if its context says when that
// is.
func (a *attempt) heldBack(req *http.Request) *http.Request {
	if !wait.HasBegin(req.Context()) || req.Body == nil || req.Body == http.NoBody {
		return req
	}
	req.Body = &heldBody{ReadCloser: req.Body, req: req, attempt: a}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return &heldBody{ReadCloser: body, req: req, attempt: a}, nil
		}
	}
	return req
}

// heldBody looks at the clock before its first byte. It is used by one goroutine at a time.
type heldBody struct {
	io.ReadCloser
	req     *http.Request
	attempt *attempt
	begun   bool
}

// Read implements io.Reader.
func (b *heldBody) Read(p []byte) (int, error) {
	if !b.begun {
		if why := wait.Ended(b.req.Context()); why != nil {
			b.attempt.late.Store(true)
			return 0, why
		}
		b.begun = true
		b.attempt.spoke.Store(true)
	}
	return b.ReadCloser.Read(p)
}
