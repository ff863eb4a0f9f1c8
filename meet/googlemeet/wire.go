package googlemeet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/telemed-go/telemed"
)

// maxAnswer bounds an answer in bytes; an event of ours has some 2 kB.
const maxAnswer = 1 << 20

// wire sends one attempt and makes of Google's answer what stands above it understands. It reads
// the body to its end, so that a cut or mangled success is what it should be, a lost
// answer. Of an error it lets through the status and the reason: what else Google
// says there may quote an event, and ends here.
type wire struct{ base http.RoundTripper }

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close()
	switch success := resp.StatusCode >= 200 && resp.StatusCode <= 299; {
	case !success:
		body = condense(resp, body)
	case err != nil:
		return nil, err
	case len(body) > maxAnswer:
		return nil, errors.New("answer is longer than 1 MB")
	case resp.StatusCode != http.StatusNoContent && !json.Valid(body):
		return nil, errors.New("answer is not JSON")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// condense returns an error body with the status and the reason alone. A 403 that means "too many
// requests" it makes a 429, for the retrying transport; its body keeps the status.
func condense(resp *http.Response, body []byte) []byte {
	status, reason := resp.StatusCode, reasonIn(body)
	switch {
	case status == http.StatusForbidden && kindOf403[reason] == telemed.ErrRateLimited && !lasting[reason]:
		resp.StatusCode, resp.Status = http.StatusTooManyRequests, "429 Too Many Requests"
	case status == http.StatusBadRequest && bytes.Contains(body, []byte("Invalid conference type")):
		reason = ReasonNoMeet
	}
	return fmt.Appendf(nil, `{"error":{"code":%d,"errors":[{"reason":%q}]}}`, status, reason) // a reason is letters
}

// lasting are the limits that hold for hours, so that there is no use in waiting.
var lasting = map[string]bool{"quotaExceeded": true, "dailyLimitExceeded": true}
