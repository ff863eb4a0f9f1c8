package zoom

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/telemed-go/telemed/internal/rest"
)

// dailyLimit gives an answer that refuses until midnight the Retry-After that Zoom leaves
// out, so that the retrying transport above returns it at once instead of trying again.
type dailyLimit struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d *dailyLimit) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.base.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusTooManyRequests {
		return resp, err
	}
	begin, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	resp.Body = readCloser{io.MultiReader(bytes.NewReader(begin), failed{err}, resp.Body), resp.Body}
	if !readFailure(begin).daily(resp.Header) {
		return resp, nil
	}
	now := time.Now()
	if _, told := rest.RetryAfter(resp.Header, now); !told {
		resp.Header.Set("Retry-After", strconv.Itoa(int(untilMidnight(now)/time.Second)+1))
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
