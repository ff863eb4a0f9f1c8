package zoom_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// replaced returns the request's body with a text replaced.
func replaced(req *http.Request, old, text string) (io.ReadCloser, func() (io.ReadCloser, error), int64) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(err)
	}
	changed := []byte(strings.ReplaceAll(string(body), old, text))
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(changed)), nil }
	first, _ := open()
	return first, open, int64(len(changed))
}
