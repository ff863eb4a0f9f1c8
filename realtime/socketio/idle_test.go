package socketio_test

import (
	"bufio"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/racetest"
)

// An idle WebSocket has one goroutine, its reader; a session that nobody polls has none.
func TestGoroutinesOfIdleSessions(t *testing.T) { //nolint:paralleltest // it counts goroutines
	const count = 100
	c := setup(t)
	before := runtime.NumGoroutine()
	for range count {
		s := c.connectSocket(t)
		s.send(`420["join-clinic","7"]`)
		require.Equal(t, `430[{"ok":true}]`, s.text())
	}
	few := func(limit int) func() bool {
		return func() bool { return runtime.NumGoroutine()-before < limit }
	}
	require.Eventually(t, few(count+20), 5*time.Second, 10*time.Millisecond)
	for range count {
		c.openPolling(t, nil)
	}
	require.Eventually(t, few(count+20), 5*time.Second, 10*time.Millisecond)
}

// An idle WebSocket holds 5.2 KB: a stack of 2 KB, and of the heap 0.5 KB for the goroutine, 2.2
// KB for what the packages keep and net/http has left, and 0.5 KB for the client of this test.
func TestMemoryOfIdleSessions(t *testing.T) { //nolint:paralleltest // it measures the heap
	if racetest.Enabled {
		t.Skip("the race detector allocates more")
	}
	const count, limit = 500, 5500
	c := setup(t)
	goroutines := runtime.NumGoroutine()
	fleet := make([]net.Conn, 0, 2*count)
	t.Cleanup(func() {
		for _, conn := range fleet {
			_ = conn.Close()
		}
	})
	buffer := bufio.NewReader(nil)
	held := func() int {
		for range count {
			fleet = append(fleet, c.connectIdle(t, buffer))
		}
		idle := func() bool { return runtime.NumGoroutine()-goroutines < len(fleet)+20 }
		require.Eventually(t, idle, 20*time.Second, 10*time.Millisecond)
		runtime.GC()
		runtime.GC() // for what was in pools
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc + stats.StackInuse)
	}
	before := held() // pools and stacks have their size then
	require.Less(t, (held()-before)/count, limit)
}

// connectIdle joins a room, and keeps as little of the client as there can be.
func (c clinic) connectIdle(t *testing.T, buffer *bufio.Reader) net.Conn {
	t.Helper()
	host := strings.TrimPrefix(c.url, "http://")
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	s := socket{t, conn, buffer}
	buffer.Reset(conn)
	_, err = io.WriteString(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: "+host+"\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	require.NoError(t, err)
	for line := ""; line != "\r\n"; {
		line, err = buffer.ReadString('\n')
		require.NoError(t, err)
	}
	s.text()
	s.frame(ws.NewTextFrame([]byte("40")))
	s.text()
	s.frame(ws.NewTextFrame([]byte(`420["join-clinic","7"]`)))
	require.Equal(t, `430[{"ok":true}]`, s.text())
	return conn
}
