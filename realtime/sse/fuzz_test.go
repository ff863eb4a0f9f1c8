package sse_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// once is a ResponseWriter that ends the request when it has the first event.
type once struct {
	*httptest.ResponseRecorder
	end context.CancelFunc
}

func (w once) Write(p []byte) (int, error) {
	n, err := w.ResponseRecorder.Write(p)
	if strings.Contains(w.Body.String(), "data: ") {
		w.end()
	}
	return n, err
}

// Whatever a browser brings back, it is told that it has missed something, unless it brings
// an id of ours.
func FuzzLastEventID(f *testing.F) {
	for _, id := range []string{"", "~", "a", "a~b", "\x00", "x\n", "é", strings.Repeat("~", 9000)} {
		f.Add(id, true)
		f.Add(id, false)
	}
	f.Fuzz(func(t *testing.T, id string, sealed bool) {
		synctest.Test(t, func(t *testing.T) { // who brings a strange position waits for it
			hub, handler := newHandler(t, keeping(&realtime.MemoryJournal{}))
			own := listenOnce(t, handler, "")
			require.Contains(t, own, "event: telemed:at\n")
			_, rest, _ := strings.Cut(own, "id: ")
			own, _, _ = strings.Cut(rest, "\n")
			if sealed {
				id += own[strings.IndexByte(own, '~'):]
			}
			text := listenOnce(t, handler, id)
			known := id == "" || id == own
			require.Equal(t, known, strings.Contains(text, "event: telemed:at\n"), text)
			require.Equal(t, !known, strings.Contains(text, "event: gap\n"), text)
			require.NotContains(t, text, "Asha")
			require.NoError(t, hub.Shutdown(t.Context()))
		})
	})
}

func listenOnce(t *testing.T, handler http.Handler, id string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/?room=clinic-7", nil)
	r.Header["Last-Event-Id"] = []string{id}
	w := once{httptest.NewRecorder(), cancel}
	handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}
