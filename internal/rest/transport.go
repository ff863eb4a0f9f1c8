// Package rest is JSON over HTTP for the providers' APIs: a transport that
// repeats only what is safe to repeat, and calls that limit, check and type every answer.
package rest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Transport is an http.RoundTripper that repeats requests.
//
//   - Whatever never left this machine (a failed dial or handshake) and whatever
//     was refused with 429 did not happen: it is repeated, for any method.
//   - A lost answer, 408, 500, 502, 503 and 504 leave the outcome open: only
//     GET, HEAD, OPTIONS, PUT, DELETE, requests with an idempotency header and
//     requests marked by [Repeatable] are repeated.
//   - A body is repeated through GetBody; without it nothing is.
//   - Retry-After is obeyed in seconds, as an HTTP date and as RFC 3339. If the
//     wait is longer than MaxWait or than the context lives, the answer at hand is returned at once.
//   - The last answer is returned whole, whatever its status, with one exception: once an
//     attempt to change something has had an open outcome, later ones cannot prove
//     that nothing happened. Their errors are not [Unsent], and instead of a 429 there is an error.
//
// The zero value is ready to use. A Transport is safe for concurrent use.
type Transport struct {
	// Base sends one attempt. If nil, NewTransport's settings on a transport shared by the process.
	Base http.RoundTripper
	// Attempts is how often a request is sent at most. If 0, 3.
	Attempts int
	// MinWait is the first pause; each further one doubles, with jitter of 50 to 100 percent. If 0, 200 ms.
	MinWait time.Duration
	// MaxWait is the longest pause, also the longest Retry-After that is waited for. If 0, 10 s.
	MaxWait time.Duration
	// Timeout bounds a request with all its attempts and the reading of its answer, as http.Client's would; that
	// one replaces the error, and with it the word on whether anything was sent. If 0, there is none.
	Timeout time.Duration
	// IdempotencyHeaders name headers that make a request repeatable, beside Idempotency-Key.
	IdempotencyHeaders []string
}

// shared keeps connections to the few hosts that an SDK talks to. net/http's
// own default keeps two a host, which reconnects all the time under load.
var shared = newShared()

func newShared() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	transport.ResponseHeaderTimeout = 20 * time.Second // one attempt, so that a hung one leaves time for another
	return transport
}

// An answer nobody wants is read, up to drainLimit and for drainTime, so that its connection can be used
// again. One that does not end in time costs its connection and not the next attempt.
const (
	drainLimit = 64 << 10
	drainTime  = time.Second
)

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

// RoundTrip implements http.RoundTripper. An error says with [Unsent] whether the request may have arrived.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.Timeout <= 0 {
		return t.send(req)
	}
	ctx, cancel := context.WithTimeout(req.Context(), t.Timeout)
	resp, err := t.send(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &boundedBody{resp.Body, cancel}
	return resp, nil
}

// boundedBody is an answer whose reading Timeout bounds too.
type boundedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// send makes the attempts.
func (t *Transport) send(req *http.Request) (*http.Response, error) {
	if req.Context().Err() != nil { // net/http would not say that it sent nothing
		closeBody(req)
		return nil, &notSent{context.Cause(req.Context()), true}
	}
	attempts := max(t.Attempts, 0)
	if attempts == 0 {
		attempts = 3
	}
	if req.Context().Value(onceKey{}) != nil {
		attempts = 1
	}
	try := req
	open := false // an attempt may have changed something, and nobody knows
	for n := 1; ; n++ {
		resp, err := t.attempt(try)
		if n >= attempts || !t.again(req, resp, err) {
			return settled(open, resp, err)
		}
		pause, ok := t.pause(req.Context(), n, resp)
		if !ok {
			return settled(open, resp, err)
		}
		next, ok := rewind(req)
		if !ok {
			return settled(open, resp, err)
		}
		open = open || changes(req) && !refused(resp, err)
		if resp != nil {
			Discard(resp)
		}
		if ctxErr := Sleep(req.Context(), pause); ctxErr != nil {
			closeBody(next)
			if err == nil {
				err = &notSent{ctxErr, !open && refused(resp, nil)}
			}
			return settled(open, nil, err)
		}
		try = next
	}
}

// errOpen is what a 429 becomes after an attempt whose outcome is open.
var errOpen = errors.New("an earlier attempt may have taken effect; the last one was refused with 429")

// settled is the outcome of all attempts: what was open stays open.
func settled(open bool, resp *http.Response, err error) (*http.Response, error) {
	switch {
	case !open:
	case err != nil:
		err = &notSent{err, false}
	case refused(resp, nil):
		Discard(resp)
		return nil, &notSent{errOpen, false}
	}
	return resp, err
}

// changes reports whether a request may change something at the provider.
func changes(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	return true
}

// refused reports whether an attempt surely had no effect.
func refused(resp *http.Response, err error) bool {
	if err != nil {
		return Unsent(err)
	}
	return resp != nil && resp.StatusCode == http.StatusTooManyRequests
}

// attempt sends once and notes in the error whether any byte of the request left.
func (t *Transport) attempt(req *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = shared
	}
	var began, wrote atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn:          func(string) { began.Store(true) },
		WroteHeaderField: func(string, []string) { wrote.Store(true) },
		WroteHeaders:     func() { wrote.Store(true) },
	}
	resp, err := base.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil && !wrote.Load() && (began.Load() || neverSent(err)) {
		err = &notSent{err, true}
	}
	return resp, err
}

// neverSent recognises errors from before the request was written, for a base
// transport that does not report to httptrace.
func neverSent(err error) bool {
	var (
		op  *net.OpError
		dns *net.DNSError
	)
	switch {
	case errors.As(err, &dns):
		return true
	case errors.As(err, &op):
		return op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect" || op.Op == "remote error" && strings.Contains(err.Error(), "tls")
	}
	return isTLSError(err)
}

// notSent wraps an error and says whether the request surely had no effect.
type notSent struct {
	err    error
	unsent bool
}

func (e *notSent) Error() string { return e.err.Error() }
func (e *notSent) Unwrap() error { return e.err }

// Unsent reports whether the request behind err surely had no effect: it never
// left this machine, or was turned away with 429 each time.
func Unsent(err error) bool {
	var marked *notSent
	return errors.As(err, &marked) && marked.unsent
}

// again says whether the outcome allows and deserves another attempt.
func (t *Transport) again(req *http.Request, resp *http.Response, err error) bool {
	if req.Context().Err() != nil {
		return false
	}
	if err != nil {
		return Unsent(err) || t.repeatable(req)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return t.repeatable(req)
	}
	return false
}

func (t *Transport) repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	if req.Context().Value(repeatableKey{}) != nil || req.Header.Get("Idempotency-Key") != "" {
		return true
	}
	for _, name := range t.IdempotencyHeaders {
		if req.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// pause returns how long to wait before attempt n+1, and whether that is worth it.
func (t *Transport) pause(ctx context.Context, n int, resp *http.Response) (time.Duration, bool) {
	first, longest := t.MinWait, t.MaxWait
	if first <= 0 {
		first = 200 * time.Millisecond
	}
	if longest <= 0 {
		longest = 10 * time.Second
	}
	wait := min(first<<min(n-1, 20), longest)
	wait = wait/2 + rand.N(wait/2+1)
	if resp != nil {
		if asked, ok := RetryAfter(resp.Header, time.Now()); ok {
			if asked > longest {
				return 0, false
			}
			wait = max(wait, asked)
		}
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return 0, false
	}
	return wait, true
}

// RetryAfter reads the Retry-After header: seconds and HTTP dates (RFC 9110) and
// the RFC 3339 times that Zoom sends. A time that has passed is 0.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if isDigits(value) {
		const century = 100 * 365 * 24 * time.Hour
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(century/time.Second) {
			return century, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		at, err = time.Parse(time.RFC3339, value)
	}
	if err != nil {
		return 0, false
	}
	return max(at.Sub(now), 0), true
}

func isDigits(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// rewind returns a copy of req with a fresh body, or false if its body is spent.
func rewind(req *http.Request) (*http.Request, bool) {
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

// Discard reads an answer that nobody wants, as far as that is worth it, and closes it.
func Discard(resp *http.Response) {
	stop := time.AfterFunc(drainTime, func() { _ = resp.Body.Close() })
	defer stop.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, drainLimit)
	_ = resp.Body.Close()
}

// Sleep waits for d. The error says why ctx ended first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
