package realtime_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// liberal is a journal of others too, who name rooms as they like. A room "?" is one whose
// name is empty, and "?x" one that holds a character that no name has.
type liberal struct{ realtime.MemoryJournal }

func liberally(e realtime.Entry) realtime.Entry {
	for _, list := range []*[]string{&e.Rooms, &e.Except, &e.Moved} {
		*list = slices.Clone(*list)
		for i, room := range *list {
			(*list)[i] = strings.ReplaceAll(strings.TrimSuffix(room, "?"), "?", "\x00")
		}
	}
	return e
}

func (j *liberal) Since(ctx context.Context, from realtime.Position, rooms []string, limit int) (realtime.Page, error) {
	page, err := j.MemoryJournal.Since(ctx, from, rooms, limit)
	for i := range page.Entries {
		page.Entries[i] = liberally(page.Entries[i])
	}
	return page, err
}

func (j *liberal) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	return j.MemoryJournal.Follow(ctx, from, func(e realtime.Entry) { deliver(liberally(e)) })
}

// A name that no room can have is nobody's, and not the hub's own for everybody.
func TestRoomsThatNobodyCanName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &liberal{}
		hub := processOf(t, journal)
		g := visit(t, hub, "ada", "x")
		secret := []realtime.Entry{
			{Name: "secret", Rooms: []string{"?"}},
			{Name: "secret", Rooms: []string{"?", "z"}},
			{Name: "secret", Rooms: []string{"z", "?"}, Except: []string{"y"}},
			{Name: "secret", Rooms: []string{"??"}},
		}
		put(t, journal, secret...)
		put(t, journal, realtime.Entry{Name: "for all", Except: []string{"?"}}, realtime.Entry{Name: "for x", Rooms: []string{"x"}, Except: []string{"?"}})
		require.Equal(t, []string{"for all", "for x"}, g.events())

		back := comeBack(t, hub, "ada", realtime.Return{PID: g.pid, Offset: g.offset()})
		back.conn.Close(nil)
		put(t, journal, secret...)
		put(t, journal, to("for y", "y"), realtime.Entry{Name: "for all"})
		back = back.again(t, hub)
		require.True(t, back.back)
		require.Equal(t, []string{"for all"}, back.events())

		moved := []string{"?", "a?b"}
		put(t, journal, realtime.Entry{Kind: realtime.KindJoin, Rooms: []string{"x"}, Moved: moved})
		require.Equal(t, 1, hub.Stats().Rooms, "nobody can be in them")
		put(t, journal, realtime.Entry{Kind: realtime.KindLeave, Rooms: []string{"x"}, Moved: moved}, realtime.Entry{Name: "for all again"})
		require.Equal(t, []string{"for all", "for all again"}, back.events())
	})
}

// Who was kicked out of a room does not come back to the others as if nothing had been,
// whether it may enter that room again or not.
func TestKickedFromARoomThatIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal, lost := &realtime.MemoryJournal{}, false
		hub := processOf(t, journal, func(cfg *realtime.Config) {
			cfg.Authorize = func(_ context.Context, _ realtime.Client, room string) error {
				if lost && room == "y" {
					return telemed.ErrForbidden
				}
				return nil
			}
		})
		g := visit(t, hub, "ada", "x", "y")
		time.Sleep(11 * time.Second) // no newcomer
		lost = true
		put(t, journal, realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"y"}})
		require.ErrorIs(t, context.Cause(g.conn.Context()), telemed.ErrForbidden)
		require.False(t, g.again(t, hub).back)
	})
}

func kickOf(subject string) realtime.Entry {
	return realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"user-" + subject}}
}

// slowStart is a journal whose first pages take their time.
type slowStart struct {
	realtime.MemoryJournal
	wait chan struct{}
}

func (j *slowStart) At(ctx context.Context, t time.Time) (realtime.Position, error) {
	<-j.wait
	return j.MemoryJournal.At(ctx, t)
}

func (j *slowStart) Head(ctx context.Context) (realtime.Position, error) {
	<-j.wait
	return j.MemoryJournal.Head(ctx)
}

// Who is kicked while its hub still reads the window, is. Nobody knows whether it logged in
// before or after that, so it is asked to come again.
func TestKickedBeforeTheJournalIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &slowStart{wait: make(chan struct{})}
		hub := processOf(t, journal)
		ada, bob := connect(t, hub, "ada"), connect(t, hub, "bob")
		put(t, journal, kickOf("ada")) // by another process
		close(journal.wait)
		synctest.Wait()
		require.ErrorIs(t, context.Cause(ada.Context()), telemed.ErrUnavailable)
		require.NoError(t, bob.Context().Err())
		again := connect(t, hub, "ada", "x")
		require.NoError(t, again.Context().Err())
		disconnect(t, hub, "ada")
		synctest.Wait()
		require.ErrorIs(t, context.Cause(again.Context()), telemed.ErrForbidden)
	})
}

// The same behind a gap, where the hub does not look back.
func TestKickedBehindAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &gapping{slowStart: slowStart{wait: make(chan struct{})}, gap: make(chan struct{})}
		close(journal.wait)
		hub := processOf(t, journal)
		connect(t, hub, "ada", "x")
		synctest.Wait()
		journal.wait = make(chan struct{})
		close(journal.gap)
		synctest.Wait()
		ada := connect(t, hub, "ada")
		put(t, journal, kickOf("ada"))
		close(journal.wait)
		time.Sleep(time.Minute)
		require.Error(t, context.Cause(ada.Context()))
		connect(t, hub, "ada", "x")
	})
}

// gapping has a gap once, when it is told to.
type gapping struct {
	slowStart
	gap chan struct{}
}

func (j *gapping) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	select {
	case <-j.gap:
		return j.slowStart.Follow(ctx, from, deliver)
	default:
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-j.gap:
		case <-running.Done():
		}
		cancel()
	}()
	err := j.slowStart.Follow(running, from, deliver)
	if ctx.Err() == nil {
		return realtime.ErrGap
	}
	return err
}

// Who has not entered yet is in no room, whatever other servers say: it would hear of the room
// before it is let in, and once more when it comes back.
func TestMovedBeforeEnter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal)
		old := visit(t, hub, "ada", "x")
		old.conn.Close(nil)
		back := &guest{wire: &wire{}}
		conn, err := hub.Connect(t.Context(), "ada", offsets{}, back.wire)
		require.NoError(t, err)
		put(t, journal, realtime.Entry{Kind: realtime.KindJoin, Rooms: []string{"user-ada"}, Moved: []string{"x", "y"}}, to("1", "x"), to("2", "y"))
		require.Empty(t, back.heard())
		_, err = conn.Enter(t.Context(), realtime.Return{PID: old.pid, Offset: old.offset()}, nil, func(string) []byte { return []byte("welcome@") })
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, back.events())
		require.Zero(t, hub.Stats().Rooms)
	})
}

// A client that is taken out of a room while it asks for the past of it is not put back: nobody
// was asked for its right, for it was in. It asks again.
func TestJoinSinceOfWhoIsTakenOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		begun := put1(t, journal, to("0", "x"))
		allowed := true
		var conn *realtime.Conn
		slow := &onSince{Journal: journal, do: func() { conn.Leave("x") }}
		hub := processOf(t, slow, func(cfg *realtime.Config) {
			cfg.Recover = time.Nanosecond
			cfg.Authorize = func(context.Context, realtime.Client, string) error {
				if !allowed {
					return telemed.ErrForbidden
				}
				return nil
			}
		})
		conn = visit(t, hub, "ada", "x").conn
		time.Sleep(time.Second)
		put(t, journal, to("1", "x"))
		time.Sleep(time.Second)
		put(t, journal, to("2", "x"))
		slow.on, allowed = true, false
		err := conn.JoinSince(t.Context(), "x", begun, func(realtime.Position, bool) []byte { return nil })
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.Zero(t, hub.Stats().Rooms)
		err = conn.JoinSince(t.Context(), "x", begun, func(realtime.Position, bool) []byte { return nil })
		require.ErrorIs(t, err, telemed.ErrForbidden)
	})
}

// onSince does something when it is read.
type onSince struct {
	realtime.Journal
	on bool
	do func()
}

func (j *onSince) Since(ctx context.Context, from realtime.Position, rooms []string, limit int) (realtime.Page, error) {
	if j.on {
		j.do()
	}
	return j.Journal.Since(ctx, from, rooms, limit)
}

func put1(t *testing.T, journal realtime.Journal, e realtime.Entry) realtime.Position {
	t.Helper()
	e.Kind = realtime.KindEvent
	at, err := journal.Append(t.Context(), e)
	require.NoError(t, err)
	return at
}

// A panic of the application's journal costs one call, and not the hub.
func TestStaleThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &panicking{}
		hub := processOf(t, journal)
		g := visit(t, hub, "ada", "x")
		journal.on = true
		require.Panics(t, func() { _ = g.conn.Join(t.Context(), "y") })
		require.Panics(t, func() { hub.Stats() })
		journal.on = false
		require.NoError(t, g.conn.Join(t.Context(), "y"))
	})
}

// panicking panics when it is asked whether it is away, and uses the hub.
type panicking struct {
	realtime.MemoryJournal
	on bool
}

func (j *panicking) Stale() time.Duration {
	if j.on {
		panic("on")
	}
	return 0
}

// busybody is a log that asks the hub.
type busybody struct {
	slog.Handler
	hub *realtime.Hub
	mu  sync.Mutex
	n   int
}

func (b *busybody) Enabled(context.Context, slog.Level) bool { return true }

func (b *busybody) Handle(context.Context, slog.Record) error {
	b.hub.Stats()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	return nil
}

// The log is the application's, and may use the hub: also to tell of who is too slow for the
// window.
func TestLogMayUseTheHub(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal, log := &realtime.MemoryJournal{}, &busybody{Handler: slog.DiscardHandler}
		hub := processOf(t, journal, func(cfg *realtime.Config) {
			cfg.MaxPending, cfg.Recover, cfg.Logger = 300, time.Second, slog.New(log)
		})
		log.hub = hub
		conn := connectTo(t, hub, offsets{}, &wire{put: keep})
		for n := range 100 {
			put(t, journal, to(fmt.Sprint(n), "x"))
		}
		require.Equal(t, 1, hub.Stats().Behind)
		time.Sleep(time.Minute)
		put(t, journal, to("late", "x"))
		require.ErrorIs(t, context.Cause(conn.Context()), realtime.ErrSlow)
		log.mu.Lock()
		defer log.mu.Unlock()
		require.Equal(t, 1, log.n)
	})
}

// A client cannot make the hub remember more and more calls of a slow OnJoin.
func TestJoinsWaitForOnJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		hub := newHub(t, realtime.Config{Authorize: anybody, OnJoin: func(realtime.Client, string) { <-slow }})
		conn, other := connect(t, hub, "ada"), connect(t, hub, "bob")
		joins := 0
		go func() {
			for conn.Join(t.Context(), "x") == nil {
				conn.Leave("x")
				joins++
			}
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Less(t, joins, 5000)
		require.NoError(t, other.Join(t.Context(), "x"), "others do not wait")
		before := joins
		slow <- struct{}{}
		for range before {
			slow <- struct{}{}
		}
		synctest.Wait()
		require.Greater(t, joins, before)
		conn.Close(nil)
		close(slow)
	})
}

// What is broadcast by way of a journal counts, too.
func TestBroadcastsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := processOf(t, &realtime.MemoryJournal{})
		require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e"}))
		require.NoError(t, hub.Emit(t.Context(), realtime.Target{Everybody: true}, realtime.Event{Name: "e"}))
		disconnect(t, hub, "ada")
		require.EqualValues(t, 2, hub.Stats().Broadcasts)
	})
}

// counting counts how many read it at once.
type counting struct {
	realtime.Journal
	mu        sync.Mutex
	now, most int
}

func (j *counting) Since(ctx context.Context, from realtime.Position, rooms []string, limit int) (realtime.Page, error) {
	j.mu.Lock()
	j.now++
	j.most = max(j.most, j.now)
	j.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.now--
	}()
	return j.Journal.Since(ctx, from, rooms, limit)
}

// Those who come back to a place before the window hold no more of the past at once than a
// few of them: each has megabytes of it. All are told what they have missed.
func TestFewSearchAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &counting{Journal: &realtime.MemoryJournal{}}
		hub := processOf(t, journal, func(cfg *realtime.Config) { cfg.Recover = time.Nanosecond })
		var guests []*guest
		for range 100 {
			g := visit(t, hub, "ada", "x")
			g.conn.Close(nil)
			guests = append(guests, g)
		}
		time.Sleep(time.Second)
		put(t, journal, to("1", "x"))
		time.Sleep(time.Second)
		put(t, journal, to("2", "x"))
		back := make([]*guest, len(guests))
		var all sync.WaitGroup
		for i, g := range guests {
			all.Go(func() {
				b := &guest{wire: &wire{}}
				back[i] = b
				conn, err := hub.Connect(t.Context(), "ada", offsets{}, b.wire)
				if err == nil {
					b.back, _ = conn.Enter(t.Context(), realtime.Return{PID: g.pid, Offset: g.offset()}, nil, func(string) []byte { return []byte("welcome@") })
				}
			})
		}
		all.Wait()
		synctest.Wait()
		for _, b := range back {
			require.True(t, b.back)
			require.Equal(t, []string{"1", "2"}, b.events())
		}
		require.Equal(t, 4, journal.most)
	})
}

// A client that names its rooms when it comes gets what is for everybody, without a journal,
// too.
func TestEnterSinceIsForEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, realtime.Config{Authorize: anybody, SubjectPrefix: "of:"})
		conn, _, _ := enterSince(t, hub, "", "x")
		require.NoError(t, hub.Emit(t.Context(), realtime.Target{Everybody: true}, realtime.Event{Name: "all"}))
		require.NoError(t, hub.Emit(t.Context(), realtime.Target{Rooms: []string{"of:ada"}}, realtime.Event{Name: "ada"}))
		synctest.Wait()
		messages, err := conn.Next(t.Context())
		require.NoError(t, err)
		require.Len(t, messages, 3)
	})
}
