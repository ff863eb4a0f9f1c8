package realtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// Broadcast appends. What connections get is what the journal yields, in every process.
func TestDeliveryIsTheJournals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		one, two := processOf(t, journal), processOf(t, journal)
		ada, bob := visit(t, one, "ada", "x"), visit(t, two, "bob", "x", "y")

		require.NoError(t, one.Broadcast(t.Context(), "x", realtime.Event{Name: "a", Data: 1}))
		require.NoError(t, two.Broadcast(t.Context(), "x", realtime.Event{Name: "b"}))
		synctest.Wait()
		journal.setFail(telemed.ErrUnavailable)
		require.ErrorIs(t, one.Broadcast(t.Context(), "x", realtime.Event{Name: "lost"}), telemed.ErrUnavailable)
		journal.setFail(nil)
		release := journal.holdBack()
		require.NoError(t, one.Broadcast(t.Context(), "x", realtime.Event{Name: "later"}))
		synctest.Wait()
		require.Equal(t, []string{"a 1", "b null"}, ada.events(), "nothing comes past the journal")
		release()
		synctest.Wait()
		require.Equal(t, []string{"a 1", "b null", "later null"}, ada.events())
		require.Equal(t, []string{"a 1", "b null", "later null"}, bob.events())
	})
}

// Entries reach whom they concern, once, however many rooms they name.
func TestEntriesReach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal)
		ada, bob := visit(t, hub, "ada", "x", "y"), visit(t, hub, "bob", "y")
		silent := &wire{}
		_, err := hub.Connect(t.Context(), "", offsets{}, silent)
		require.NoError(t, err)
		put(t, journal,
			to("both", "x", "y"), to("all"), to("none", "z"), to("own", "user-bob"),
			realtime.Entry{Name: "not-x", Rooms: []string{"y"}, Except: []string{"x"}},
			realtime.Entry{Name: "not-bob", Except: []string{"user-bob"}},
			realtime.Entry{Kind: realtime.KindJoin, Rooms: []string{"x"}, Moved: []string{"z", "user-bob"}},
			to("z1", "z"), to("own2", "user-bob"),
			realtime.Entry{Kind: realtime.KindLeave, Rooms: []string{"y"}, Moved: []string{"z", "y"}},
			to("z2", "z"), to("gone", "y"), to("x1", "x"),
		)
		require.Equal(t, []string{"both", "all", "not-bob", "z1", "x1"}, ada.events())
		require.Equal(t, []string{"both", "all", "own", "not-x", "own2"}, bob.events())
		require.Empty(t, silent.heard(), "who has not entered is nobody")
		require.ErrorIs(t, ada.conn.Join(t.Context(), "user-bob"), telemed.ErrForbidden)

		back := ada.again(t, hub)
		require.True(t, back.back)
		put(t, journal, to("x2", "x"), to("y2", "y"))
		require.Equal(t, []string{"x2"}, back.events())
	})
}

// Who comes back gets what it has missed, behind the welcome and in order.
func TestComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal)
		g := visit(t, hub, "ada", "x", "y")
		g.conn.Close(nil)
		put(t, journal, to("1", "x"), to("other", "z"), to("2", "y", "x"), realtime.Entry{Name: "typing", Rooms: []string{"x"}, Volatile: true}, to("3"))

		other := processOf(t, journal, func(cfg *realtime.Config) { // with a new key, and the old one
			cfg.RecoveryKeys = [][]byte{[]byte(strings.Repeat("n", 32)), recoveryKey}
		})
		back := g.again(t, other)
		require.True(t, back.back)
		require.Equal(t, g.pid, back.pid)
		require.Equal(t, "welcome@", back.heard()[0])
		require.Equal(t, []string{"1", "2", "3"}, back.events())
		put(t, journal, to("4", "y"))
		require.Equal(t, []string{"1", "2", "3", "4"}, back.events())

		// In the middle of the replay.
		broken := &guest{wire: &wire{got: back.heard()[:3]}, conn: back.conn, pid: back.pid}
		again := broken.again(t, other)
		require.True(t, again.back)
		require.Equal(t, []string{"3", "4"}, again.events())
		require.Equal(t, uint64(2), other.Stats().Recovered)

		require.NoError(t, again.conn.Join(t.Context(), "z"))
		again.conn.Leave("x")
		synctest.Wait()
		last := again.again(t, other)
		put(t, journal, to("5", "x"), to("6", "z"), to("7", "y"))
		require.Equal(t, []string{"6", "7"}, last.events())

		last.conn.LeaveAll()
		put(t, journal, to("8", "z"), to("9"))
		require.Equal(t, []string{"6", "7"}, last.events())
	})
}

// Whatever is in doubt, the client is told that it was not recovered, and is in no room.
func TestNotRecovered(t *testing.T) {
	t.Parallel()
	sealedWith := func(key string) func(*realtime.Config) {
		return func(cfg *realtime.Config) { cfg.RecoveryKeys = [][]byte{[]byte(strings.Repeat(key, 32))} }
	}
	answer := func(err error) func(*realtime.Config) {
		return func(cfg *realtime.Config) {
			cfg.Authorize = func(context.Context, realtime.Client, string) error { return err }
		}
	}
	for name, test := range map[string]struct {
		subject  string // ada if empty
		pid      func(pid, offset string) string
		offset   func(offset string) string
		config   func(*realtime.Config)
		meantime func(t *testing.T, journal realtime.Journal)
	}{
		"no pid":              {pid: func(string, string) string { return "" }},
		"forged pid":          {pid: func(pid, _ string) string { return pid[:len(pid)-2] + "AA" }},
		"rooms as a pid":      {pid: func(_, offset string) string { _, sealed, _ := strings.Cut(offset, "~"); return sealed }},
		"long pid":            {pid: func(pid, _ string) string { return strings.Repeat(pid, 1000) }},
		"somebody else":       {subject: "bob"},
		"nobody":              {subject: "-"},
		"foreign keys":        {config: sealedWith("f")},
		"application is down": {config: answer(telemed.ErrUnavailable)},
		"fewer rooms":         {config: func(cfg *realtime.Config) { cfg.MaxRooms = 1 }},
		"text of the page":    {offset: func(string) string { return "bob" }},
		"control characters":  {offset: func(string) string { return "\x00" }},
		"forged rooms":        {offset: func(offset string) string { return offset[:len(offset)-2] + "AA" }},
		"too many rooms":      {offset: func(offset string) string { position, _, _ := strings.Cut(offset, "~"); return position + "~" }},
		"foreign journal": {offset: func(offset string) string {
			head, _ := (&realtime.MemoryJournal{}).Head(context.Background())
			_, sealed, _ := strings.Cut(offset, "~")
			return string(head) + "~" + sealed
		}},
		"expired": {meantime: func(*testing.T, realtime.Journal) { time.Sleep(24 * time.Hour) }},
		"kicked": {meantime: func(t *testing.T, journal realtime.Journal) {
			put(t, journal, realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"user-ada"}})
		}},
		"kicked by a room": {meantime: func(t *testing.T, journal realtime.Journal) {
			put(t, journal, realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"y"}})
		}},
		"moved": {meantime: func(t *testing.T, journal realtime.Journal) {
			put(t, journal, realtime.Entry{Kind: realtime.KindJoin, Rooms: []string{"y"}, Moved: []string{"z"}})
		}},
		"trimmed": {meantime: func(t *testing.T, journal realtime.Journal) {
			put(t, journal, to("a", "z"))
			time.Sleep(time.Hour)
			put(t, journal, to("b", "z"), to("c", "z"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				journal := &realtime.MemoryJournal{}
				put(t, journal, to("before", "x"))
				old := visit(t, processOf(t, journal), "ada", "x", "y")
				put(t, journal, to("got", "x"))
				pid, offset, subject := old.pid, old.offset(), "ada"
				old.conn.Close(nil)
				if test.meantime != nil {
					test.meantime(t, journal)
				}
				if test.pid != nil {
					pid = test.pid(pid, offset)
				}
				if test.offset != nil {
					offset = test.offset(offset)
				}
				if test.subject != "" {
					subject = strings.Trim(test.subject, "-")
				}
				hub := processOf(t, journal, func(cfg *realtime.Config) {
					if test.config != nil {
						test.config(cfg)
					}
				})
				connected(t, hub, "first") // the process knows the journal from now on
				back := comeBack(t, hub, subject, realtime.Return{PID: pid, Offset: offset})
				require.False(t, back.back)
				require.NotEmpty(t, back.pid)
				require.NotEqual(t, old.pid, back.pid)
				put(t, journal, to("next", "x", "y"))
				require.Empty(t, back.events(), "no room without a join")
				require.Zero(t, hub.Stats().Recovered)
				require.True(t, back.again(t, hub).back, "and may come back from now on")
			})
		})
	}
}

// A room that Authorize refuses now is left out without a word, and its events with it.
func TestRightLostMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		var lost bool
		hub := processOf(t, journal, func(cfg *realtime.Config) {
			cfg.Authorize = func(_ context.Context, _ realtime.Client, room string) error {
				if lost && room == "x" {
					return errors.New("no")
				}
				return nil
			}
		})
		g := visit(t, hub, "ada", "x", "y")
		g.conn.Close(nil)
		lost = true
		put(t, journal, to("1", "x"), to("2", "y"))
		back := g.again(t, hub)
		require.True(t, back.back)
		put(t, journal, to("3", "x"), to("4", "y"))
		require.Equal(t, []string{"2", "4"}, back.events())
		lost = false
		again := back.again(t, hub)
		put(t, journal, to("5", "x"), to("6", "y"))
		require.Equal(t, []string{"6"}, again.events(), "the new set counts")
	})
}

// A client that has missed nothing for hours may come back, whatever the journal has
// forgotten.
func TestQuietHours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{MaxAge: time.Minute}
		hub := processOf(t, journal)
		quiet, still := visit(t, hub, "ada", "x"), visit(t, hub, "bob", "x")
		for range 8 * 60 * 2 {
			time.Sleep(25 * time.Second)
			put(t, journal, to("busy", "y"))
			quiet.conn.Mark()
		}
		put(t, journal, to("1", "x"))
		require.Len(t, quiet.heard(), 1+1+8*60*2+1, "one for each heartbeat")
		quiet.conn.Mark()
		synctest.Wait()
		require.Len(t, quiet.heard(), 1+1+8*60*2+1, "it has this offset already")
		still.wire.got = still.heard()[:2] // without the event
		require.True(t, quiet.again(t, hub).back)
		require.False(t, still.again(t, hub).back, "without a mark its place is forgotten")
	})
}

// A gap ends all connections, and is said to whoever comes back. The hub goes on.
func TestGapEndsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		hub := processOf(t, journal)
		ada, bob := visit(t, hub, "ada", "x"), visit(t, hub, "bob", "x")
		journal.setFail(telemed.ErrUnavailable) // it is not back at once
		journal.breakOff()
		synctest.Wait()
		for _, g := range []*guest{ada, bob} {
			require.ErrorIs(t, context.Cause(g.conn.Context()), realtime.ErrGap)
		}
		require.Equal(t, uint64(1), hub.Stats().Gaps)
		early := connect(t, hub, "eve")
		journal.setFail(nil)
		time.Sleep(10 * time.Second)
		require.ErrorIs(t, context.Cause(early.Context()), telemed.ErrUnavailable, "it may have been kicked in the gap")
		fresh := visit(t, hub, "ada", "x")
		put(t, journal, to("1", "x"))
		require.Equal(t, []string{"1"}, fresh.events())
		require.True(t, fresh.again(t, hub).back)
	})
}

// While the journal is away from the start, clients are let in without a pid, and joins are
// refused as for the moment.
func TestJournalIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{fail: telemed.ErrUnavailable}
		hub := processOf(t, journal)
		g := visit(t, hub, "ada")
		require.Empty(t, g.pid)
		require.ErrorIs(t, g.conn.Join(t.Context(), "x"), telemed.ErrUnavailable)
		journal.setFail(nil)
		time.Sleep(10 * time.Second)
		require.NoError(t, g.conn.Join(t.Context(), "x"))
		put(t, journal, to("1", "x"))
		require.Equal(t, []string{"1"}, g.events())
	})
}

// Ten thousand that come back at once cost the journal a handful of reads, and no more than
// the window is older than what they ask for.
func TestMassReturnReadsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		put(t, journal, to("long ago", "x"))
		hub := processOf(t, journal)
		var guests []*guest
		for n := range 300 {
			guests = append(guests, visit(t, hub, fmt.Sprint(n), "x"))
		}
		for _, g := range guests {
			g.conn.Close(nil)
		}
		put(t, journal, to("1", "x"), to("2", "y"), to("3", "x"))
		after := processOf(t, journal)
		journal.reads = 0
		for _, g := range guests {
			back := g.again(t, after)
			require.True(t, back.back)
			require.Equal(t, []string{"1", "3"}, back.events())
		}
		require.LessOrEqual(t, journal.reads, 10)
	})
}

// What is older than the window is asked of the journal.
func TestOlderThanTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal, func(cfg *realtime.Config) { cfg.Recover = time.Minute })
		gone, silent := visit(t, hub, "ada", "x"), visit(t, hub, "bob", "x")
		gone.conn.Close(nil)
		silent.conn.Close(nil)
		put(t, journal, to("1", "x"))
		for n := range 5 {
			time.Sleep(30 * time.Second)
			put(t, journal, to(fmt.Sprint("other", n), "y"), to(fmt.Sprint(n+2), "x"))
		}
		want := []string{"1", "2", "3", "4", "5", "6"}
		require.Equal(t, want, gone.again(t, hub).events())
		late := processOf(t, journal, func(cfg *realtime.Config) { cfg.Recover = time.Second })
		time.Sleep(2 * time.Second) // its window is empty
		require.Equal(t, want, silent.again(t, late).events())
	})
}

// The window and what is asked of the journal have bounds in bytes, whatever it keeps.
func TestTooMuchToCatchUpWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{MaxBytes: 1 << 30}
		hub := processOf(t, journal)
		bob := visit(t, hub, "bob", "x")
		bob.conn.Close(nil)
		late := processOf(t, journal)
		visit(t, late, "eve")
		big := realtime.Entry{Name: "big", Rooms: []string{"y"}, Args: []json.RawMessage{[]byte(`"` + strings.Repeat("x", 1<<20) + `"`)}}
		for range 20 {
			put(t, journal, big)
		}
		require.True(t, bob.again(t, hub).back, "some of it is in the window")
		for range 20 {
			put(t, journal, big)
		}
		require.False(t, bob.again(t, late).back)
	})
}

// A client may have more than the process that it comes back to.
func TestAheadOfTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &realtime.MemoryJournal{}
		slow := &lagging{Journal: shared}
		one, two := processOf(t, shared), processOf(t, slow)
		visit(t, two, "bob", "x") // it follows
		slow.lag = make(chan struct{})
		g := visit(t, one, "ada", "x")
		put(t, shared, to("1", "x"), to("2", "x"))
		require.Equal(t, []string{"1", "2"}, g.events())
		g.conn.Close(nil)
		put(t, shared, to("3", "x"))

		var back *guest
		done := make(chan struct{})
		go func() {
			defer close(done)
			back = g.again(t, two)
		}()
		synctest.Wait()
		close(slow.lag)
		<-done
		synctest.Wait()
		require.True(t, back.back)
		require.Equal(t, []string{"3"}, back.events())
	})
}

// lagging delivers late.
type lagging struct {
	realtime.Journal
	lag chan struct{}
}

func (j *lagging) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	return j.Journal.Follow(ctx, from, func(e realtime.Entry) {
		if j.lag != nil {
			<-j.lag
		}
		deliver(e)
	})
}

// A half open connection ends when its client is back.
func TestReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal)
		old := visit(t, hub, "ada", "x")
		back := comeBack(t, hub, "ada", realtime.Return{PID: old.pid, Offset: old.offset()})
		require.True(t, back.back)
		require.Equal(t, realtime.ErrReplaced, context.Cause(old.conn.Context()))
		old.conn.Close(nil) // its late end does no harm
		put(t, journal, to("1", "x"))
		require.Equal(t, []string{"1"}, back.events())
		require.True(t, back.again(t, hub).back)
	})
}

// A page that keeps a position itself catches up room by room.
func TestJoinSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal)
		join := func(g *guest, room string, since realtime.Position) (at realtime.Position, gap bool) {
			require.NoError(t, g.conn.JoinSince(t.Context(), room, since, func(position realtime.Position, unknown bool) []byte {
				at, gap = position, unknown
				return []byte("answer@")
			}))
			synctest.Wait()
			return at, gap
		}
		first := visit(t, hub, "ada")
		x, gap := join(first, "x", "")
		require.False(t, gap)
		put(t, journal, to("1", "x"), to("2", "y"))
		y, _ := join(first, "y", "")
		put(t, journal, to("3", "y"), to("4", "x"), to("5", "x", "y"))
		require.Equal(t, []string{"answer", "1", "answer", "3", "4", "5"}, first.events())
		first.conn.Close(nil)
		put(t, journal, to("6", "x"))

		second := visit(t, hub, "ada")
		at, gap := join(second, "x", x)
		require.False(t, gap)
		require.Equal(t, x, at, "until the events have come")
		require.Equal(t, []string{"answer", "1", "4", "5", "6"}, second.events())
		_, gap = join(second, "y", y)
		require.False(t, gap)
		at, _ = join(second, "z", y)
		require.NotEqual(t, y, at, "there is nothing to come")
		put(t, journal, to("7", "y"))
		require.Equal(t, []string{"answer", "1", "4", "5", "6", "answer", "3", "5", "answer", "7"}, second.events())

		recovered := 0
		for cut := range second.heard() { // wherever it breaks, nobody is told what is not so
			if cut == 0 {
				continue
			}
			broken := &guest{wire: &wire{got: second.heard()[:cut]}, conn: second.conn, pid: second.pid}
			back := broken.again(t, hub)
			if !back.back {
				continue
			}
			var whole []string
			for _, name := range append(broken.events(), back.events()...) {
				if name != "answer" {
					whole = append(whole, name)
				}
			}
			recovered++
			require.Contains(t, [][]string{nil, {"1", "4", "5", "6"}, {"1", "4", "5", "6", "7"}, {"1", "4", "5", "6", "3", "5", "7"}}, whole, cut)
		}
		require.GreaterOrEqual(t, recovered, 3)
		require.Less(t, recovered, len(second.heard())-4)

		_, gap = join(visit(t, hub, "bob"), "x", "nonsense")
		require.True(t, gap)
		plain := newHub(t, realtime.Config{Authorize: anybody})
		g := visit(t, plain, "ada")
		at, gap = join(g, "x", x)
		require.True(t, gap)
		require.Empty(t, at)
		require.NoError(t, plain.Broadcast(t.Context(), "x", realtime.Event{Name: "e", Data: 1}))
		synctest.Wait()
		require.Equal(t, []string{"answer@", "e 1@"}, g.heard()[1:])
	})
}

func TestRecoveryConfig(t *testing.T) {
	t.Parallel()
	_, err := realtime.NewHub(realtime.Config{Recover: time.Minute, RecoveryKeys: [][]byte{recoveryKey}})
	require.ErrorContains(t, err, "Recover")
	require.ErrorContains(t, err, "RecoveryKeys")
	_, err = realtime.NewHub(realtime.Config{Journal: &realtime.MemoryJournal{}, RecoveryKeys: [][]byte{recoveryKey, {1}}, Recover: -1})
	require.ErrorContains(t, err, "RecoveryKeys[1]")
	require.ErrorContains(t, err, "Recover")
	require.NotContains(t, err.Error(), string(recoveryKey))
}

// Some positions have no entry that this version can read. They are places as good as any.
func TestPlacesWithoutAnEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &sparse{}
		hidden := to("hidden", "x")
		put(t, journal, hidden)
		hub := processOf(t, journal, func(cfg *realtime.Config) { cfg.Recover = time.Minute })
		begun := visit(t, hub, "ada", "x") // at a hidden place
		begun.conn.Close(nil)
		require.True(t, begun.again(t, hub).back)
		put(t, journal, to("1", "x"), hidden)
		time.Sleep(2 * time.Minute)
		put(t, journal, hidden)

		late := processOf(t, journal, func(cfg *realtime.Config) { cfg.Recover = time.Second })
		fresh := visit(t, late, "bob", "x") // its window begins at a hidden place, and is empty
		require.Equal(t, []string{"1"}, begun.again(t, late).events())
		require.True(t, fresh.again(t, hub).back, "nothing came after it")
		put(t, journal, to("2", "x"), hidden, to("3", "x"))
		require.Equal(t, []string{"1", "2", "3"}, begun.again(t, late).events())
		require.Equal(t, []string{"2", "3"}, fresh.again(t, hub).events())
	})
}

// sparse yields no entry of the name hidden.
type sparse struct{ realtime.MemoryJournal }

func (j *sparse) Since(ctx context.Context, from realtime.Position, rooms []string, limit int) (realtime.Page, error) {
	page, err := j.MemoryJournal.Since(ctx, from, rooms, limit)
	page.Entries = slices.DeleteFunc(page.Entries, func(e realtime.Entry) bool { return e.Name == "hidden" })
	return page, err
}

func (j *sparse) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	return j.MemoryJournal.Follow(ctx, from, func(e realtime.Entry) {
		if e.Name != "hidden" {
			deliver(e)
		}
	})
}

// FuzzReturn brings back what no hub has given out.
func FuzzReturn(f *testing.F) {
	f.Add("", "")
	f.Add("AAAA", "x-1~AAAA")
	f.Add("bob", "~")
	f.Fuzz(func(t *testing.T, pid, offset string) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal)
		conn, err := hub.Connect(t.Context(), "ada", offsets{}, &wire{})
		require.NoError(t, err)
		own := ""
		enter := func(pid, offset string) bool {
			recovered, err := conn.Enter(t.Context(), realtime.Return{PID: pid, Offset: offset}, nil, func(text string) []byte { own = text; return nil })
			require.NoError(t, err)
			return recovered
		}
		require.False(t, enter(pid, offset))
		require.NotEqual(t, pid, own)
		require.Equal(t, offset == "", enter(own, offset))
		require.ErrorIs(t, hub.Shutdown(t.Context()), nil)
	})
}

// BenchmarkMassReturn is one return of many, while the hub keeps what other rooms were told.
func BenchmarkMassReturn(b *testing.B) {
	journal := &realtime.MemoryJournal{MaxBytes: 64 << 20}
	hub := newHub(b, realtime.Config{Journal: journal, Authorize: anybody, MaxConnections: 1 << 30})
	come := func(back realtime.Return) (pid string) {
		conn, err := hub.Connect(b.Context(), "ada", offsets{}, nil)
		require.NoError(b, err)
		_, err = conn.Enter(b.Context(), back, []string{"x"}, func(text string) []byte { pid = text; return nil })
		require.NoError(b, err)
		conn.Close(nil)
		return pid
	}
	pid := come(realtime.Return{})
	for n := range 20_000 {
		_, err := journal.Append(b.Context(), realtime.Entry{Kind: realtime.KindEvent, Name: "e", Rooms: []string{fmt.Sprint("room", n%200)}})
		require.NoError(b, err)
	}
	require.NoError(b, hub.Broadcast(b.Context(), "x", realtime.Event{Name: "e"}))
	b.ReportAllocs()
	for b.Loop() {
		require.Equal(b, pid, come(realtime.Return{PID: pid}))
	}
}

// prompt is a journal whose followers have read a line before its Append returns.
type prompt struct{ realtime.MemoryJournal }

func (j *prompt) Append(ctx context.Context, e realtime.Entry) (realtime.Position, error) {
	p, err := j.MemoryJournal.Append(ctx, e)
	synctest.Wait()
	return p, err
}

// Disconnect says how many there were, also if they are gone when the journal answers.
func TestDisconnectCountsWhoIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := processOf(t, &prompt{})
		visit(t, hub, "ada", "x")
		visit(t, hub, "ada")
		ended, err := hub.Disconnect(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, 2, ended)
	})
}

// Between the moment when a client finds its place and that when it reads on, the window goes
// on, too: what it drops is not lost to the client.
func TestWindowDropsWhileAClientReturns(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{30 * time.Second, 60 * time.Second, 3 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			journal := &realtime.MemoryJournal{}
			hub := processOf(t, journal, func(cfg *realtime.Config) { cfg.Recover = time.Minute })
			old := visit(t, hub, "ada", "x")
			put(t, journal, to("0", "x"))
			offset := old.offset()
			old.conn.Close(nil)
			want := []string{}
			speak := func(times time.Duration) {
				for range times / time.Second {
					time.Sleep(time.Second)
					want = append(want, fmt.Sprint(len(want)+1))
					put(t, journal, to(want[len(want)-1], "x"))
				}
			}
			speak(away)
			back := &guest{wire: &wire{}}
			conn, err := hub.Connect(t.Context(), "ada", offsets{}, back.wire)
			require.NoError(t, err)
			recovered, err := conn.Enter(t.Context(), realtime.Return{PID: old.pid, Offset: offset}, nil, func(string) []byte {
				speak(40 * time.Second)
				return []byte("welcome@")
			})
			require.NoError(t, err)
			require.True(t, recovered, away)
			synctest.Wait()
			require.Equal(t, want, back.events())
		})
	}
}
