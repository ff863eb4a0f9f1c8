package smtp

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A context that ends between two commands is not forgotten by the deadline of the next.
func TestEndOfContextOutlastsDeadlines(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	k := &conn{raw: near}
	ctx, cancel := context.WithCancel(t.Context())
	stop := k.obey(ctx)
	cancel()
	require.Eventually(t, func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.ended
	}, 5*time.Second, time.Millisecond)
	k.allow(time.Hour)
	_, err := near.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	stop()
	require.True(t, k.broken)
}
