package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// bound sets a deadline for the body of r. A handler that reads no body, or half of it,
// does not keep the connection either: net/http reads what is left before it answers. It
// lifts the deadline at the body's end, so that a long poll may wait.
func (g *Guard) bound(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// A recorder in a test has none, and says so.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.cfg.BodyTime))
	}
}

// Whole reads the whole body, at most limit bytes, before next is called: half a form is
// never handled. It is for forms, and stands inside Guard.Handler.
func Whole(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			http.Error(w, fmt.Sprintf("that is more than %d bytes", limit), http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the request did not arrive whole", http.StatusRequestTimeout)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(whole))
		next.ServeHTTP(w, r)
	})
}
