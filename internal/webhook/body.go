package webhook

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// bodyTime is how long a body may take. Without a bound, anybody could hold a goroutine
// and a connection for ever, for no signature is known before the body's end.
const bodyTime = 10 * time.Second

// readBody reads the raw body to its end. The deadline of a body that failed stays in
// force, and the connection is given up: the server reads on for a while after the
// answer, and must not wait for the rest either.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	control := http.NewResponseController(w)
	shorter := hasShorterTimeout(r)
	if !shorter {
		_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // http.ErrNotSupported: w has no connection
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	switch {
	case err != nil:
		w.Header().Set("Connection", "close")
	case !shorter:
		_ = control.SetReadDeadline(time.Time{})
	}
	return body, err
}

// hasShorterTimeout reports whether the server gives a request less time than bodyTime.
func hasShorterTimeout(r *http.Request) bool {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	return server != nil && server.ReadTimeout > 0 && server.ReadTimeout <= bodyTime
}

func statusOfBody(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}
