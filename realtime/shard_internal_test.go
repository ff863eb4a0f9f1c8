package realtime

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

type noEncoder struct{}

func (noEncoder) Encode(Message) []byte { return nil }

// A shard without work has room for the next few operations, and nothing of a burst.
func TestWhatAShardKeeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub, err := NewHub(Config{})
		require.NoError(t, err)
		conn, err := hub.Connect(t.Context(), "", noEncoder{}, nil)
		require.NoError(t, err)
		for _, count := range []int{1, 1000, 5} {
			hub.mu.Lock()
			for range count {
				require.True(t, conn.sendLocked([]byte("x")))
			}
			hub.mu.Unlock()
			synctest.Wait()
			s := conn.shard
			require.False(t, s.running)
			require.Equal(t, count < keepOps, cap(s.ops)+cap(s.spare) > 0)
			require.LessOrEqual(t, cap(s.ops)+cap(s.spare), keepOps)
			require.LessOrEqual(t, cap(s.batch), keepOps)
			for _, message := range s.batch[:cap(s.batch)] {
				require.Nil(t, message)
			}
			for _, o := range append(s.ops[:cap(s.ops):cap(s.ops)], s.spare[:cap(s.spare)]...) {
				require.Zero(t, o)
			}
		}
		require.NoError(t, hub.Shutdown(t.Context()))
	})
}
