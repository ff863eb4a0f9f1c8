package googlemeet

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxAnswer bounds an answer in bytes; an event of ours has some 2 kB.
const maxAnswer = 1 << 20

// wire sends one attempt and makes of Google's answer what the retrying transport above it
// understands. It reads the body to its end, so that a cut or mangled success is what
// it should be, a lost answer. And where Google says "too many requests" with 403, it says 429.
type wire struct{ base http.RoundTripper }

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close()
	success := resp.StatusCode >= 200 && resp.StatusCode <= 299
	switch {
	case success && err != nil:
		return nil, err
	case success && len(body) > maxAnswer:
		return nil, errors.New("answer is longer than 1 MB")
	case success && resp.StatusCode != http.StatusNoContent && !json.Valid(body):
		return nil, errors.New("answer is not JSON")
	case resp.StatusCode == http.StatusForbidden && passing(reasonIn(body)):
		resp.StatusCode, resp.Status = http.StatusTooManyRequests, "429 Too Many Requests"
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// passing tells the limits by the minute from those that last for hours.
func passing(reason string) bool {
	return reason == "rateLimitExceeded" || reason == "userRateLimitExceeded" || reason == "RATE_LIMIT_EXCEEDED"
}
