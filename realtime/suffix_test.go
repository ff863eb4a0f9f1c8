package realtime_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// BenchmarkOwnRooms is a broadcast to people each of whom is in a room of their own, too: so
// each has an offset of its own.
func BenchmarkOwnRooms(b *testing.B) {
	for _, members := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			hub := newHub(b, realtime.Config{Authorize: anybody, Journal: &realtime.MemoryJournal{}})
			taken := make(chan struct{}, members)
			for n := range members {
				out := &wire{put: func([][]byte) (int, error) { taken <- struct{}{}; return 0, nil }}
				conn, err := hub.Connect(b.Context(), "", offsets{}, out)
				require.NoError(b, err)
				_, err = conn.Enter(b.Context(), realtime.Return{}, []string{"x", fmt.Sprint("own", n)}, func(string) []byte { return []byte("welcome@") })
				require.NoError(b, err)
				<-taken
			}
			for b.Loop() {
				if err := hub.Broadcast(b.Context(), "x", realtime.Event{Name: "e"}); err != nil {
					b.Fatal(err)
				}
				for range members {
					<-taken
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/delivered")
		})
	}
}

// Each member's offset is its own, however many there are, for one event and for several at
// once.
func TestOffsetsOfManySets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		hub := processOf(t, journal)
		var guests []*guest
		for n := range 40 {
			guests = append(guests, visit(t, hub, "ada", "x", fmt.Sprint("own", n%20)))
		}
		release := journal.holdBack()
		put(t, journal, to("1", "x"), to("2", "x"), to("3", "x", "y"))
		release()
		synctest.Wait()
		for _, g := range guests {
			require.Equal(t, []string{"1", "2", "3"}, g.events())
			g.conn.Close(nil)
		}
		for n := range 20 {
			put(t, journal, to(fmt.Sprint(n), fmt.Sprint("own", n)))
		}
		for n, g := range guests {
			require.Equal(t, []string{fmt.Sprint(n % 20)}, g.again(t, hub).events())
		}
	})
}
