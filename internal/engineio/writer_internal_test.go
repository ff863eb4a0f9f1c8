package engineio

import (
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

// A close that comes before the goroutine which is to write the rest of a frame, or instead
// of it: the frame ends first. From outside, those moments cannot be met.
func TestCloseBeforeTheDrain(t *testing.T) {
	t.Parallel()
	server := newServer(t, Config{})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
	})
	frame := textFrame(make([]byte, 512<<10)) // more than the buffers below
	for n := range 20 {
		peer, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		require.NoError(t, err)
		conn, err := listener.Accept()
		require.NoError(t, err)
		require.NoError(t, peer.(*net.TCPConn).SetReadBuffer(64<<10))
		require.NoError(t, conn.(*net.TCPConn).SetWriteBuffer(64<<10))
		s := server.newSession(webSocketTransport, "sid", "", netip.Addr{})
		way := &webSocket{conn: conn, session: s}
		way.raw.open(conn)
		read := make(chan error, 1)
		go func() { read <- readUntilClose(peer) }()

		ended := n%2 == 1
		if ended {
			s.Close(nil)
		}
		waiting, err := way.put(nil, [][]byte{frame, frame}, append(frame[:len(frame):len(frame)], frame...))
		require.Equal(t, ended, err != nil)
		require.Equal(t, ended, waiting == 0)
		way.close(ws.StatusGoingAway)
		require.NoError(t, <-read)
		require.NoError(t, conn.Close())
		require.NoError(t, peer.Close())
	}
}

// readUntilClose reads frames. An error says that one is broken off.
func readUntilClose(peer net.Conn) error {
	_ = peer.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		header, err := ws.ReadHeader(peer)
		if err == nil {
			err = ws.CheckHeader(header, ws.StateClientSide)
		}
		if err != nil || header.OpCode == ws.OpClose {
			return err
		}
		if _, err := io.CopyN(io.Discard, peer, header.Length); err != nil {
			return err
		}
	}
}

// piped is a WebSocket without a raw socket, as under TLS: whatever is put begins a drain.
func piped(t *testing.T) (way *webSocket, peer net.Conn) {
	t.Helper()
	conn, peer := net.Pipe()
	s := newServer(t, Config{}).newSession(webSocketTransport, "sid", "", netip.Addr{})
	t.Cleanup(func() {
		s.Close(nil)
		require.NoError(t, peer.Close())
		require.NoError(t, conn.Close())
		<-s.Finished()
	})
	return &webSocket{conn: conn, session: s}, peer
}

// A drain that is at its end does not take the one that begins behind it for its own.
func TestDrainsDoNotMeet(t *testing.T) {
	t.Parallel()
	const frames = 100_000
	way, peer := piped(t)
	frame := textFrame([]byte("x"))
	read := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, peer, int64(frames*len(frame)))
		read <- err
	}()
	for n := range frames {
		_, err := way.put(nil, [][]byte{frame}, frame)
		require.NoError(t, err, n)
		if n%3 == 0 {
			runtime.Gosched() // so that drains end and begin
		}
	}
	require.NoError(t, <-read)
	require.NoError(t, way.session.Context().Err())
}
