package sse_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/sse"
)

// inMemory runs a test in a bubble of time, over both protocols. The server has timeouts as
// careful applications set them.
func inMemory(t *testing.T, test func(t *testing.T, hub *realtime.Hub, listen func() *listener), change ...func(*realtime.Config, *sse.Config)) {
	t.Helper()
	t.Parallel()
	for name, second := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hub, handler := newHandler(t, change...)
				var protocols http.Protocols
				protocols.SetHTTP1(!second)
				protocols.SetUnencryptedHTTP2(second)
				l, err := fake.Listen("", true)
				require.NoError(t, err)
				server := &http.Server{Handler: handler, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, Protocols: &protocols}
				ended := make(chan error, 1)
				go func() { ended <- server.Serve(l) }()
				transport := &http.Transport{DialContext: l.Dial, Protocols: &protocols}
				test(t, hub, func() *listener {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Address()+"/?room=clinic-7", nil)
					require.NoError(t, err)
					answer, err := transport.RoundTrip(r)
					require.NoError(t, err)
					return &listener{t: t, answer: answer, lines: bufio.NewReader(answer.Body)}
				})
				require.NoError(t, hub.Shutdown(context.Background()))
				transport.CloseIdleConnections()
				require.NoError(t, server.Close())
				require.ErrorIs(t, <-ended, http.ErrServerClosed)
			})
		})
	}
}

// Comments come by themselves, and no timeout of the server ends a quiet stream.
func TestQuietStream(t *testing.T) {
	inMemory(t, func(t *testing.T, hub *realtime.Hub, listen func() *listener) {
		page := listen()
		page.want(at)
		begun := time.Now()
		for range 240 {
			line, err := page.lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, ":\n", line)
			line, err = page.lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "\n", line)
		}
		require.Equal(t, time.Hour, time.Since(begun))
		require.NoError(t, hub.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "n", Data: 1}))
		page.want(n("1"))
		page.leave()
	})
}

// The journal goes on without a quiet listener, and does not forget where it is.
func TestQuietListenerOfABusyJournal(t *testing.T) {
	inMemory(t, func(t *testing.T, hub *realtime.Hub, listen func() *listener) {
		page := listen()
		page.want(at)
		first := page.id
		require.NoError(t, hub.Broadcast(t.Context(), "clinic-5", realtime.Event{Name: "n", Data: 1}))
		page.want(at)
		require.NotEqual(t, first, page.id)
		page.leave()
	}, func(rooms *realtime.Config, _ *sse.Config) { rooms.Journal = &realtime.MemoryJournal{} })
}

// Who takes nothing is ended, after WriteTimeout or with too much waiting. Who reads slowly
// is not.
func TestSlowReader(t *testing.T) {
	big := strings.Repeat("x", 900_000)
	inMemory(t, func(t *testing.T, hub *realtime.Hub, listen func() *listener) {
		slow, stuck := listen(), listen()
		slow.want(at)
		stuck.want(at)
		for range 5 {
			require.NoError(t, hub.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "n", Data: big}))
		}
		buffer := make([]byte, 32<<10)
		for size := 0; size < 5*len(big); { // in a good minute
			n, err := io.ReadFull(slow.lines, buffer)
			require.NoError(t, err)
			size += n
			time.Sleep(time.Second / 2)
		}
		require.Equal(t, 1, hub.Stats().Connections)
		_, err := io.Copy(io.Discard, stuck.lines)
		require.Error(t, err)
		slow.leave()
		stuck.leave()
	})
}

func TestMaxPending(t *testing.T) {
	inMemory(t, func(t *testing.T, hub *realtime.Hub, listen func() *listener) {
		stuck := listen()
		stuck.want(at)
		for range 10 {
			require.NoError(t, hub.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "n", Data: strings.Repeat("x", 900_000)}))
			synctest.Wait()
		}
		require.Equal(t, uint64(1), hub.Stats().Slow)
		require.Zero(t, hub.Stats().Connections)
		stuck.leave()
	}, func(rooms *realtime.Config, _ *sse.Config) { rooms.MaxPending = 2 << 20 })
}

// A database that takes longer than the server's timeouts is waited for.
func TestSlowAuthorize(t *testing.T) {
	inMemory(t, func(t *testing.T, hub *realtime.Hub, listen func() *listener) {
		page := listen()
		page.want(at)
		page.leave()
	}, func(rooms *realtime.Config, _ *sse.Config) {
		rooms.Authorize = func(context.Context, realtime.Client, string) error {
			time.Sleep(15 * time.Second)
			return nil
		}
	})
}
