package sse_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/sse"
)

// Coming back to another process: what was missed follows, once, and then what is new.
func TestComingBack(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		journal := &realtime.MemoryJournal{}
		first, second := setup(t, start, keeping(journal)), setup(t, start, keeping(journal))
		page := first.listen(t, "clinic-6,clinic-7")
		page.want(at)
		fresh := page.id
		first.broadcast(t, "clinic-7", "n", 1)
		second.broadcast(t, "clinic-6", "n", 2)
		page.want(n("1"))
		id := page.id
		page.leave() // 2 may have been on its way
		second.broadcast(t, "clinic-5", "n", "of another room")
		first.broadcast(t, "clinic-7", "n", 3)

		for _, c := range []clinic{second, first} {
			back := c.listen(t, "clinic-7,clinic-6", "Last-Event-ID: "+id)
			event, err := back.next()
			require.NoError(t, err)
			require.Equal(t, at, event)
			require.Equal(t, id, back.id, "who breaks off here is where it was")
			back.want(n("2"), n("3"))
			back.leave()
			require.Equal(t, uint64(1), c.hub.Stats().Recovered)
		}
		// No event had come before the break. The header is newer than the URL.
		r := second.ask(t, "clinic-6,clinic-7")
		r.URL.RawQuery += "&since=" + fresh
		answer := second.do(t, r)
		back := newListener(t, answer)
		back.want(at, n("1"), n("2"), n("3"))
		r.Header.Set("Last-Event-ID", back.id)
		back = newListener(t, second.do(t, r))
		back.want(at)
		first.broadcast(t, "clinic-7", "n", 4)
		back.want(n("4"))
	})
}

// What cannot be told is said, with an id to go on from.
func TestGap(t *testing.T) {
	t.Parallel()
	journal := &realtime.MemoryJournal{}
	c := setup(t, overHTTP1, keeping(journal))
	ids := func(c clinic, rooms string, more ...string) string {
		page := c.listen(t, rooms, more...)
		page.want(at)
		page.leave()
		return page.id
	}
	own := ids(c, "clinic-7")
	position, sealed, _ := strings.Cut(own, "~")
	strange := setup(t, overHTTP1, keeping(journal), func(rooms *realtime.Config, _ *sse.Config) { rooms.RecoveryKeys = nil })
	elsewhere := setup(t, overHTTP1, keeping(&realtime.MemoryJournal{}))
	small := &realtime.MemoryJournal{MaxBytes: 2000}
	tiny := setup(t, overHTTP1, keeping(small), func(rooms *realtime.Config, _ *sse.Config) { rooms.Recover = 1 })
	old := ids(tiny, "clinic-7")
	kicked := ids(c, "clinic-7", "Cookie: user=ada")
	_, err := c.hub.Disconnect(t.Context(), "ada")
	require.NoError(t, err)
	for i := range 50 {
		tiny.broadcast(t, "clinic-7", "n", i)
		c.broadcast(t, "clinic-7", "n", i)
	}
	without := setup(t, overHTTP1)
	for _, test := range []struct {
		name  string
		c     clinic
		rooms string
		id    string
		more  []string
	}{
		{"garbage", c, "clinic-7", "asha", nil},
		{"no position", c, "clinic-7", "~" + sealed, nil},
		{"a position alone", c, "clinic-7", position, nil},
		{"no rooms", c, "clinic-7", position + "~", nil},
		{"fewer rooms", c, "clinic-7,clinic-6", own, nil},
		{"more rooms", c, "clinic-7", ids(c, "clinic-7,clinic-6"), nil},
		{"other keys", strange, "clinic-7", own, nil},
		{"another journal", elsewhere, "clinic-7", own, nil},
		{"too old", tiny, "clinic-7", old, nil},
		{"kicked meanwhile", c, "clinic-7", kicked, []string{"Cookie: user=ada"}},
		{"without a journal", without, "clinic-7", ids(without, "clinic-7"), nil},
		{"long", c, "clinic-7", strings.Repeat("x", 10_000), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var page *listener
			var event got
			require.Eventually(t, func() bool { // who comes in a gap of the journal is sent home once
				page = test.c.listen(t, test.rooms, append(test.more, "Last-Event-ID: "+test.id)...)
				var err error
				event, err = page.next()
				return err == nil
			}, time.Minute, time.Millisecond)
			require.Equal(t, gap, event)
			require.NotEmpty(t, page.id)
			test.c.broadcast(t, test.rooms[:8], "n", "new")
			for event != n(`"new"`) { // other tests' are live, too
				var err error
				event, err = page.next()
				require.NoError(t, err)
				require.NotEqual(t, gap, event)
			}
		})
	}
}

// A right lost meanwhile: nothing that was missed comes.
func TestRightLostMeanwhile(t *testing.T) {
	t.Parallel()
	journal := &realtime.MemoryJournal{}
	c := setup(t, overHTTP1, keeping(journal))
	page := c.listen(t, "clinic-7")
	page.want(at)
	page.leave()
	strict := setup(t, overHTTP1, keeping(journal), func(rooms *realtime.Config, _ *sse.Config) { rooms.Authorize = nil })
	c.broadcast(t, "clinic-7", "n", 1)
	answer := strict.do(t, strict.ask(t, "clinic-7", "Last-Event-ID: "+page.id))
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
}

// A page breaks off after each few events, and comes back to one of two processes. It gets
// all events once and in order, those of two rooms too.
func TestManyCuts(t *testing.T) {
	each(t, func(t *testing.T, start begin) {
		journal := &realtime.MemoryJournal{}
		processes := []clinic{setup(t, start, keeping(journal)), setup(t, start, keeping(journal))}
		const events = 1500
		page := processes[0].listen(t, "clinic-6,clinic-7")
		page.want(at)
		id := page.id
		page.leave()
		go func() {
			for i := range events {
				room := fmt.Sprintf("clinic-%d", 6+i%2)
				_ = processes[rand.N(2)].hub.Broadcast(t.Context(), room, realtime.Event{Name: "n", Data: i})
			}
		}()
		cuts := 0
		for next := 0; next < events; cuts++ {
			page := processes[rand.N(2)].listen(t, "clinic-6,clinic-7", "Last-Event-ID: "+id)
			for left := rand.N(30); left >= 0 && next < events; left-- {
				event, err := page.next()
				require.NoError(t, err)
				if id = page.id; event != at {
					require.Equal(t, n(strconv.Itoa(next)), event)
					next++
				}
			}
			page.leave()
		}
		require.Greater(t, cuts, 10)
	})
}
