package zoom

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/telemed-go/telemed/internal/rest"
)

// wire makes of Zoom's answers what the transports above it understand. An answer that refuses until
// midnight gets the Retry-After that Zoom leaves out, so that it is returned at once instead of
// tried again. An ended access token that Zoom reports with 400 gets the 401 that renews it.
type wire struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusBadRequest {
		return resp, err
	}
	begin, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	resp.Body = readCloser{io.MultiReader(bytes.NewReader(begin), failed{err}, resp.Body), resp.Body}
	said := readFailure(begin)
	switch {
	case resp.StatusCode == http.StatusBadRequest:
		if said.Code == tokenEnded {
			resp.StatusCode, resp.Status = http.StatusUnauthorized, "401 Unauthorized"
		}
	case said.daily(resp.Header):
		now := time.Now()
		if _, told := rest.RetryAfter(resp.Header, now); !told {
			resp.Header.Set("Retry-After", strconv.Itoa(int(untilMidnight(now)/time.Second)+1))
		}
	}
	return resp, nil
}

// untilMidnight is the time to the next 00:00 UTC, when Zoom counts anew.
func untilMidnight(now time.Time) time.Duration {
	return now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
}

type readCloser struct {
	io.Reader
	io.Closer
}

// failed is a reader that ends with an error met earlier, if there was one.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}
