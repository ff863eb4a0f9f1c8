package sse_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fronttest"
	"github.com/telemed-go/telemed/realtime"
)

// Behind an nginx that buffers, over HTTP/1.0 too, each event comes at once, and a page that
// was away misses none.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	fronttest.Find(t)
	c := setup(t, overHTTP1, keeping(&realtime.MemoryJournal{}))
	nginx := fronttest.Start(t, c.server.URL)
	for name, url := range map[string]string{"whole": nginx.Whole, "plain": nginx.Plain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			front := clinic{hub: c.hub, handler: c.handler, server: &httptest.Server{URL: url}}
			page := front.listen(t, name, "Origin: "+url)
			page.want(at)
			for range 3 {
				front.broadcast(t, name, "n", 1)
				page.want(n("1"))
			}
			page.leave()
			front.broadcast(t, name, "n", 2)
			back := front.listen(t, name, "Last-Event-ID: "+page.id)
			back.want(at, n("2"))
			require.Empty(t, back.answer.Header.Get("X-Accel-Buffering"), "nginx has understood it")
			back.leave()
		})
	}
}
