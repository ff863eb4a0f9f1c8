package razorpaytest

import (
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// Fault spoils answers of the API. Make one with RateLimited, Failing, HTML,
// Refused, Truncated, Dropped, LostAnswer or Hanging, and hand it to [Server.FailNext].
type Fault struct {
	// Pattern says which requests it is for; see On. Empty: any.
	Pattern string
	// Times is how many requests it spoils. Zero: one.
	Times int
	// Commit carries the request out first, and spoils only the answer.
	Commit bool

	// Status, Header and Body are answered instead, if Status is not 0.
	Status int
	Header http.Header
	Body   string

	cut, hang bool
}

// On returns f for certain requests alone: "POST /v1/orders", or with a star
// for one segment, "POST /v1/payments/*/refund". A pattern without a method
// fits any.
func (f Fault) On(pattern string) Fault {
	f.Pattern = pattern
	return f
}

// Repeat returns f for the next n requests that it fits.
func (f Fault) Repeat(n int) Fault {
	f.Times = n
	return f
}

// RateLimited answers 429, with Retry-After in whole seconds unless it is negative.
func RateLimited(retryAfter time.Duration) Fault {
	f := Refused(http.StatusTooManyRequests, "Request failed. Please try after sometime.")
	if retryAfter >= 0 {
		f.Header.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	}
	return f
}

// Failing answers a server error of this status, with Razorpay's body.
func Failing(status int) Fault {
	body := `{"error":{"code":"SERVER_ERROR","description":"We are facing some trouble completing your request at the moment. Please try again shortly.","source":"NA","step":"NA","reason":"NA","metadata":{}}}`
	return Fault{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

// HTML answers a proxy's page with this status.
func HTML(status int) Fault {
	return Fault{Status: status, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html><body><h1>" + http.StatusText(status) + "</h1></body></html>"}
}

// Refused answers an error of Razorpay's with this status and description.
func Refused(status int, description string) Fault {
	body, _ := json.Marshal(refusal(status, description, "").doc())
	return Fault{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: string(body)}
}

// Truncated carries the request out and sends half of the answer.
func Truncated() Fault { return Fault{Commit: true, cut: true} }

// Dropped ends the connection instead; the request has no effect.
func Dropped() Fault { return Fault{} }

// LostAnswer carries the request out and ends the connection without an answer.
func LostAnswer() Fault { return Fault{Commit: true} }

// Hanging does not answer until the client gives up; the request has no effect.
func Hanging() Fault { return Fault{hang: true} }

// FailNext spoils coming answers. Faults are tried in the order they were given;
// the first that fits a request is used up by it.
func (s *Server) FailNext(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		f.Times = max(f.Times, 1)
		s.faults = append(s.faults, f)
	}
}

func (f *Fault) write(w http.ResponseWriter, r *http.Request, answer []byte) {
	switch {
	case f.hang:
		<-r.Context().Done()
		hangUp()
	case f.cut:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer[:len(answer)/2])
		_ = http.NewResponseController(w).Flush() // or the client would see no answer at all
		hangUp()
	case f.Status == 0:
		hangUp()
	}
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

func matches(pattern, method, urlPath string) bool {
	if pattern == "" {
		return true
	}
	if want, rest, ok := strings.Cut(pattern, " "); ok {
		if want != method {
			return false
		}
		pattern = rest
	}
	ok, err := path.Match(pattern, strings.TrimSuffix(urlPath, "/"))
	return err == nil && ok
}
