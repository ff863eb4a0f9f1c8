// Package rest is JSON over HTTP for the providers' APIs.
//
// Four things are done here and nowhere else:
//
//   - [Transport] reads an answer to its end, within a limit and the deadline.
//   - It asks the provider's Classify what the answer means.
//   - It repeats what is safe to repeat. A cut answer is as good as none.
//   - [Result], [Answer.Decode] and [Answer.Misfit] make one [Error] of whatever went
//     wrong.
//
// Leaves call [Client.Do]. A provider's own library gets an http.Client whose transport
// passes requests on and keeps what Result says.
package rest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
)

// DefaultMaxBody is how many bytes of an answer are read at most: 4 MiB.
const DefaultMaxBody = 4 << 20

// Transport is an http.RoundTripper that reads answers whole and repeats requests.
//
//   - What never left this machine (a failed dial or handshake) and what is [Busy] did
//     not happen: it is repeated, for any method.
//   - What is [Open], and a success whose body was cut, is repeated if it is a GET, HEAD,
//     OPTIONS, PUT or DELETE, has an idempotency header, or is marked by [Repeatable].
//   - A body is repeated through GetBody; without it nothing is.
//   - Retry-After is obeyed in seconds, as an HTTP date and as RFC 3339. If the wait is
//     longer than MaxWait or than the context lives, the answer at hand is returned at
//     once.
//   - Once an attempt to change something had an open outcome, only two ends settle it:
//     Done, and the refusal of a request that was looked at. Any other end is
//     ErrAmbiguous.
//
// The last answer is returned, whatever its status, with its body in memory. If there is
// none, or if a success was cut or too long, there is an [Error] instead. The zero value
// is ready to use. A Transport is safe for concurrent use.
type Transport struct {
	// Base sends one attempt. If nil, a transport that the process shares.
	Base http.RoundTripper
	// Classify says what an answer means: its outcome, and unless that is Done the error
	// for the caller. It may correct Status and RetryAfter of the answer. If nil,
	// [ByStatus].
	Classify func(*Answer) (Outcome, error)
	// MaxBody limits an answer in bytes. If 0, DefaultMaxBody.
	MaxBody int64
	// Attempts is how often a request is sent at most. If 0, 3.
	Attempts int
	// MinWait is the first pause; each further one doubles, with jitter of 50 to 100
	// percent. If 0, 200 ms.
	MinWait time.Duration
	// MaxWait is the longest pause, also the longest Retry-After that is waited for. If
	// 0, 10 s.
	MaxWait time.Duration
	// Timeout bounds a request with all its attempts, in time that this process was seen to
	// run ([wait.Timeout]). If 0, the request's context alone does. An http.Client's own
	// Timeout would replace the error, and with it the word on whether anything was sent.
	Timeout time.Duration
	// IdempotencyHeaders name headers that make a request repeatable, beside
	// Idempotency-Key.
	IdempotencyHeaders []string
}

// shared keeps connections to the few hosts that an SDK talks to. net/http's
// own default keeps two a host, which reconnects all the time under load.
var shared = newShared()

func newShared() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return transport
}

// headerTime bounds the wait for the head of an answer over the shared transport, so that
// an attempt that hangs leaves time for another.
const headerTime = 20 * time.Second

type repeatableKey struct{}

// Repeatable marks the requests of ctx as safe to send twice: the provider
// recognises the second one by an id of ours.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

type onceKey struct{}

// Once marks the requests of ctx as not to be repeated at all, not even after
// 429: the caller has a better plan for them.
func Once(ctx context.Context) context.Context {
	return context.WithValue(ctx, onceKey{}, true)
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if end, ok := ctx.Deadline(); t.Timeout > 0 && (!ok || time.Until(end) > t.Timeout) {
		var cancel context.CancelFunc
		ctx, cancel = wait.Timeout(ctx, t.Timeout)
		defer cancel()
	}
	last := t.send(ctx, req)
	if last.response == nil {
		return nil, &last.Error
	}
	return last.response, nil
}

// send makes the attempts and returns the last one.
func (t *Transport) send(ctx context.Context, req *http.Request) *attempt {
	if why := wait.Ended(ctx); why != nil { // net/http would not say that it sent nothing
		closeBody(req)
		return &attempt{Error: Error{
			Answer: Answer{Request: req, Err: why}, Kind: telemed.ErrUnavailable, Unsent: true,
		}}
	}
	open := false // an attempt may have changed something, and nobody knows
	try := req
	for n := 1; ; n++ {
		a := t.attempt(ctx, try)
		next, pause := t.next(ctx, req, a, n)
		if next == nil {
			return a.settled(open)
		}
		open = open || changes(req) && !a.unharmed()
		if why := cmp.Or(wait.For(ctx, pause), wait.Ended(ctx)); why != nil {
			closeBody(next)
			if a.Err == nil {
				a.Err = why
			}
			return a.settled(open)
		}
		try = next
	}
}

// next returns the request to send after attempt n, and when. It is nil if a is the last.
func (t *Transport) next(ctx context.Context, req *http.Request, a *attempt, n int) (*http.Request, time.Duration) {
	limit := t.Attempts
	switch {
	case ctx.Value(onceKey{}) != nil:
		limit = 1
	case limit <= 0:
		limit = 3
	}
	if n >= limit || ctx.Err() != nil || !(a.unharmed() || a.outcome == Open && t.repeatable(req)) {
		return nil, 0
	}
	pause, ok := t.pause(ctx, n, a.RetryAfter)
	if !ok {
		return nil, 0
	}
	next, _ := Rewind(req)
	return next, pause
}

// attempt is one request on its way, and what came of it. It is the body of its response.
type attempt struct {
	Error        // Kind is nil if the outcome is Done
	outcome      Outcome
	response     *http.Response // nil if there is no answer, or a success without its end
	body         bytes.Reader
	began, wrote atomic.Bool // a connection was asked for; a byte of the request may have left
	late, spoke  atomic.Bool // a body was held back; one was not (see heldBody)
	trace        httptrace.ClientTrace
}

// Read implements io.Reader.
func (a *attempt) Read(p []byte) (int, error) { return a.body.Read(p) }

// WriteTo implements io.WriterTo.
func (a *attempt) WriteTo(w io.Writer) (int64, error) { return a.body.WriteTo(w) }

// Close implements io.Closer.
func (a *attempt) Close() error { return nil }

// attempt sends a request once and reads what comes back.
func (t *Transport) attempt(ctx context.Context, req *http.Request) *attempt {
	a := &attempt{}
	a.Request, a.classify = req, t.Classify
	a.watch()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	response, err := t.roundTrip(a.heldBack(req.WithContext(httptrace.WithClientTrace(ctx, &a.trace))), cancel)
	if err != nil {
		a.Unsent = a.sentNothing(err)
		a.lost(inOurWords(err))
		return a
	}
	a.Status, a.Header = response.StatusCode, response.Header
	a.RetryAfter, _ = RetryAfter(response.Header, time.Now())
	a.Body, a.Err = read(response, cmp.Or(t.MaxBody, DefaultMaxBody))
	if a.Err != nil {
		a.Body, a.Part = nil, a.Body
	}
	if a.Err != nil && a.Status/100 == 2 {
		a.lost(a.Err)
		if !errors.Is(a.Err, errCut) { // it would be too long again
			a.outcome = Foreign
		}
		return a
	}
	a.outcome, a.Kind = a.judge()
	a.respond(response)
	return a
}

// roundTrip returns when the head of the answer is there. cancel ends req's context.
func (t *Transport) roundTrip(req *http.Request, cancel context.CancelCauseFunc) (*http.Response, error) {
	if t.Base != nil {
		return t.Base.RoundTrip(req)
	}
	stop := wait.After(headerTime, func() { cancel(context.DeadlineExceeded) })
	defer stop()
	return shared.RoundTrip(req)
}

// watch has net/http tell how far the request gets.
func (a *attempt) watch() {
	a.trace = httptrace.ClientTrace{
		GetConn:          func(string) { a.began.Store(true) },
		WroteHeaderField: func(string, []string) { a.wrote.Store(true) },
		WroteHeaders:     func() { a.wrote.Store(true) },
	}
}

// sentNothing reports whether an attempt that failed with err did so before it sent a
// byte, or a byte of what it has to say.
func (a *attempt) sentNothing(err error) bool {
	return a.late.Load() && !a.spoke.Load() || !a.wrote.Load() && (a.began.Load() || neverSent(err))
}

// lost is an attempt without a whole answer.
func (a *attempt) lost(err error) {
	a.outcome, a.Kind, a.Err = Open, a.Unknown(), err
	if a.Unsent {
		a.Kind = telemed.ErrUnavailable
	}
}

// respond makes the response that is returned, if this is the last attempt.
func (a *attempt) respond(response *http.Response) {
	if a.Status != response.StatusCode {
		response.StatusCode, response.Status = a.Status, http.StatusText(a.Status)
	}
	a.body.Reset(a.Body)
	response.Body, response.ContentLength = a, int64(len(a.Body))
	a.response = response
}

// unharmed reports whether the attempt surely had no effect.
func (a *attempt) unharmed() bool { return a.Unsent || a.outcome == Busy }

// errEarlier is why a request that was refused may have taken effect all the same.
var errEarlier = errors.New("an earlier attempt may have taken effect")

// unseen are the refusals of a request that nobody looked at.
var unseen = []error{
	telemed.ErrRateLimited, telemed.ErrUnavailable, telemed.ErrUnauthorized, telemed.ErrForbidden, telemed.ErrReconnect,
}

// settled is the outcome of all attempts, of which a is the last: what was open stays
// open unless the provider itself tells what became of it.
func (a *attempt) settled(open bool) *attempt {
	if !open || a.tells() || errors.Is(a.Kind, telemed.ErrAmbiguous) {
		return a
	}
	a.outcome, a.Kind, a.Unsent = Open, telemed.ErrAmbiguous, false
	if a.Err == nil {
		a.Err = errEarlier
	}
	return a
}

// tells reports whether the provider looked at the request.
func (a *attempt) tells() bool {
	return a.outcome == Done ||
		a.outcome == Refused && !slices.ContainsFunc(unseen, func(kind error) bool { return errors.Is(a.Kind, kind) })
}

// Result returns what became of a request that was sent through a [Transport]: the
// answer, if it is Done, else an *Error. response and err are what RoundTrip returned, or
// an http.Client's Do.
func Result(response *http.Response, err error) (*Answer, error) {
	if err == nil {
		a := response.Body.(*attempt)
		if a.Kind != nil {
			return nil, &a.Error
		}
		return &a.Answer, nil
	}
	if failure, ok := errors.AsType[*Error](err); ok {
		return nil, failure
	}
	if withURL, ok := errors.AsType[*url.Error](err); ok {
		err = withURL.Err
	}
	// Something above the Transport had no token, for instance.
	return nil, &Error{Answer: Answer{Err: err}, Kind: telemed.ErrUnavailable, Unsent: true}
}

func (t *Transport) repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	if req.Context().Value(repeatableKey{}) != nil || req.Header.Get("Idempotency-Key") != "" {
		return true
	}
	return slices.ContainsFunc(t.IdempotencyHeaders, func(name string) bool { return req.Header.Get(name) != "" })
}

// pause returns how long to wait before attempt n+1, and whether that is worth it.
func (t *Transport) pause(ctx context.Context, n int, asked time.Duration) (time.Duration, bool) {
	first, longest := t.MinWait, t.MaxWait
	if first <= 0 {
		first = 200 * time.Millisecond
	}
	if longest <= 0 {
		longest = 10 * time.Second
	}
	pause := max(asked, wait.Jitter(min(first<<min(n-1, 20), longest)))
	end, ok := ctx.Deadline()
	return pause, asked <= longest && !(ok && time.Until(end) <= pause)
}

// Rewind returns a copy of req with a fresh body, or false if its body is spent.
func Rewind(req *http.Request) (*http.Request, bool) {
	next := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return next, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	next.Body = body
	return next, true
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// An answer nobody wants is read, up to drainLimit and for drainTime, so that its
// connection can be used again. One that does not end in time costs its connection.
const (
	drainLimit = 64 << 10
	drainTime  = time.Second
)

// Discard reads an answer that nobody wants, as far as that is worth it, and closes it.
func Discard(resp *http.Response) {
	stop := time.AfterFunc(drainTime, func() { _ = resp.Body.Close() })
	defer stop.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, drainLimit)
	_ = resp.Body.Close()
}
