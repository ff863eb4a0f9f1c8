package smtp

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
)

// A context that ends between two commands is not forgotten by the deadline of the next.
func TestEndOfContextOutlastsDeadlines(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	k := &conn{raw: &gate{Conn: near}}
	ctx, cancel := context.WithCancel(t.Context())
	stop := k.bindTo(ctx)
	cancel()
	require.Eventually(t, func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.ended
	}, 5*time.Second, time.Millisecond)
	k.setTimeout(time.Hour)
	_, err := near.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	stop()
	require.True(t, k.broken)
}

// A connection that was made just as close stopped waiting carries no message any more.
func TestConnectionMadeWhileCutOff(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var p *pool
	p = newPool(1, time.Second, func(context.Context) (*conn, error) {
		require.ErrorIs(t, p.close(ended), context.Canceled)
		return &conn{raw: &gate{Conn: near}}, nil
	})
	_, err := p.get(t.Context())
	require.ErrorIs(t, err, telemed.ErrClosed)
	_, err = near.Write([]byte("MAIL"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.NoError(t, p.close(t.Context()), "its slot is free again")
}
