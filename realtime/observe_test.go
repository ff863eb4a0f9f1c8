package realtime_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// named is a wire that says what it is.
type named struct{ tap }

func (*named) Transport() string { return "pigeon" }

// Observe hears of all that happens to a connection, in order, and nothing about anybody.
func TestObserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var heard []realtime.Observation
		journal := &fragile{}
		hub := processOf(t, journal, func(cfg *realtime.Config) {
			cfg.MaxPending, cfg.MaxRooms = 200, 1
			cfg.Observe = func(o realtime.Observation) {
				if heard = append(heard, o); o.What == realtime.Refused {
					panic("about Asha")
				}
			}
		})
		way := &named{tap: *newTap()}
		way.put = func(messages [][]byte) (int, error) {
			way.kept = append(way.kept, messages...)
			return len(strings.Join(strs(messages), "")), nil
		}
		conn, err := hub.Connect(t.Context(), "ada", offsets{}, way)
		require.NoError(t, err)
		way.conn = conn
		_, err = conn.Enter(t.Context(), realtime.Return{}, []string{"asha"}, func(string) []byte { return []byte("welcome@") })
		require.NoError(t, err)
		require.ErrorIs(t, conn.Join(t.Context(), "y"), realtime.ErrFull)
		for n := range 20 {
			put(t, journal, to(fmt.Sprint("asha", n), "asha"))
		}
		way.take(-1)
		time.Sleep(time.Hour)
		_, err = hub.Disconnect(t.Context(), "ada")
		require.NoError(t, err)
		synctest.Wait()
		var got []string
		for _, o := range heard {
			got = append(got, fmt.Sprint(o.What, " ", o.Transport, " ", o.Age.Truncate(time.Hour)))
		}
		require.Equal(t, []string{
			"connected pigeon 0s", "joined pigeon 0s", "refused pigeon 0s", "behind pigeon 0s", "caught up pigeon 0s", "ended pigeon 1h0m0s",
		}, got)
		require.ErrorIs(t, heard[5].Cause, telemed.ErrForbidden)
		require.NotContains(t, fmt.Sprintf("%#v", heard), "asha")

		heard = nil
		g := visit(t, hub, "bob")
		back := g.again(t, hub)
		require.True(t, back.back)
		journal.breakOff()
		synctest.Wait()
		var what []realtime.Observed
		for _, o := range heard {
			what = append(what, o.What)
		}
		require.Equal(t, []realtime.Observed{
			realtime.Connected, realtime.Ended, realtime.Connected, realtime.Recovered, realtime.Gap, realtime.Ended,
		}, what)
		require.ErrorIs(t, heard[5].Cause, realtime.ErrGap)
	})
}

func strs(messages [][]byte) (texts []string) {
	for _, message := range messages {
		texts = append(texts, string(message))
	}
	return texts
}
