package realtime

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a window finds by rooms is what a look at each entry finds, however it was trimmed.
func TestWindowByRooms(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	w := window{age: 50 * time.Second}
	w.reset("base")
	room := func() string { return strconv.Itoa(random.IntN(12)) }
	for n := range 3000 {
		e := &Entry{Kind: KindEvent, Position: Position(strconv.Itoa(n)), At: time.Unix(int64(n/(1+n%3)), 0)}
		for range random.IntN(4) {
			e.Rooms = append(e.Rooms, room())
		}
		w.add(e)
		if n == 2000 {
			w.reset("again")
		}
		from := w.first + uint64(random.IntN(len(w.entries)+1))
		rooms := []string{everybody, room(), room()}
		got, whole := w.ofRooms(from, rooms...)
		require.True(t, whole)
		all, _ := w.from(from)
		want := []*Entry{}
		for _, e := range all {
			if e.Reaches(func(room string) bool { return slices.Contains(rooms, room) }) {
				want = append(want, e)
			}
		}
		require.True(t, slices.Equal(want, got), n)
	}
	_, whole := w.ofRooms(w.first-1, "1")
	require.False(t, whole)
	known := 0
	for room, numbers := range w.rooms {
		require.NotEmpty(t, numbers)
		require.GreaterOrEqual(t, numbers[0], w.first, room)
		known += len(numbers)
	}
	require.LessOrEqual(t, known, 4*len(w.entries))
}
