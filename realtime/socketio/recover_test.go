package socketio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// fleet is some processes with one journal and the same keys.
type fleet struct {
	journal *realtime.MemoryJournal
	right   atomic.Bool // to be in clinic-8
}

func newFleet() *fleet {
	f := &fleet{journal: &realtime.MemoryJournal{}}
	f.right.Store(true)
	return f
}

// process starts one more.
func (f *fleet) process(t *testing.T) clinic {
	t.Helper()
	return setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
		rooms.Journal = f.journal
		rooms.RecoveryKeys = [][]byte{bytes.Repeat([]byte{7}, 32)}
		rooms.Authorize = func(_ context.Context, _ realtime.Client, room string) error {
			if room == "clinic-8" && !f.right.Load() {
				return errors.New("no right any more")
			}
			return nil
		}
	})
}

// numbers requires that the page gets these events next, with the offset behind them.
func (n *node) numbers(want ...int) {
	n.t.Helper()
	for _, number := range want {
		require.Equal(n.t, map[string]any{"step": "number", "n": float64(number), "args": 2.0}, n.step("number"))
	}
}

func (n *node) connected(recovered bool) {
	n.t.Helper()
	require.Equal(n.t, recovered, n.step("connected")["recovered"])
}

func (n *node) joined() {
	n.t.Helper()
	var answer struct {
		OK bool
		At string
	}
	require.NoError(n.t, json.Unmarshal([]byte(n.step("joined")["answer"].(string)), &answer))
	require.True(n.t, answer.OK)
	require.NotEmpty(n.t, answer.At)
}

// The client of npm, as pages have it, is where it was after its line broke.
func TestNodeRecovers(t *testing.T) {
	needNode(t)
	t.Parallel()
	for name, transports := range map[string]string{"websocket": "websocket", "polling": "polling", "default": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet()
			old := f.process(t)
			l := newLine(t, old.url)
			node := startNode(t, "recover", l.url, transports, "7,8")
			node.connected(false)
			node.joined()
			node.joined()

			away := func(to string, meanwhile func()) {
				l.lead("")
				l.cut()
				node.step("lost")
				meanwhile()
				l.lead(to)
			}
			// without any event
			away(old.url, func() { old.broadcast(t, "clinic-7", "number", 1) })
			node.connected(true)
			node.numbers(1)
			// after events, and when the server was replaced
			old.broadcast(t, "clinic-8", "number", 2)
			node.numbers(2)
			var other clinic
			away("", func() {
				other = f.process(t)
				old.broadcast(t, "clinic-8", "number", 3)
				other.broadcast(t, "clinic-7", "number", 4)
				old.broadcast(t, "clinic-9", "number", 99)
				require.NoError(t, old.hub.Shutdown(within(t)))
			})
			l.lead(other.url)
			node.connected(true)
			node.numbers(3, 4)
			// a right is lost meanwhile
			away(other.url, func() {
				f.right.Store(false)
				other.broadcast(t, "clinic-8", "number", 99)
				other.broadcast(t, "clinic-7", "number", 5)
			})
			node.connected(true)
			node.numbers(5)
			other.broadcast(t, "clinic-8", "number", 99)
			other.broadcast(t, "clinic-7", "number", 6)
			node.numbers(6)
			// a subject that is kicked reads the present state, and so does who missed too much
			away(other.url, func() {
				_, err := other.hub.Disconnect(t.Context(), "")
				require.NoError(t, err)
			})
			node.connected(false)
			away(other.url, func() { f.forget(t, other) })
			node.connected(false)
			_, err := f.journal.Append(t.Context(), realtime.Entry{Kind: realtime.KindEvent, Name: "bye"})
			require.NoError(t, err)
			node.step("bye")
			node.step("lost")
			node.end()
		})
	}
}

// What a page without recovery asks for, and gets.
func TestCatchUpSince(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			f := newFleet()
			c := f.process(t)
			options := realtimetest.Options{Transport: transport}
			var joined struct{ At string }
			require.NoError(t, json.Unmarshal([]byte(ack(t, c.dial(t, options), "join-clinic", 7)), &joined))
			c.broadcast(t, "clinic-7", "number", 1)
			c.broadcast(t, "clinic-8", "number", 99)

			client := c.dial(t, options)
			var again struct {
				At  string
				Gap bool
			}
			since := map[string]string{"since": joined.At + "~AAAA"} // of an offset the position counts
			require.NoError(t, json.Unmarshal([]byte(ack(t, client, "join-clinic", 7, since)), &again))
			require.Equal(t, joined.At, again.At, "until the events have come")
			require.False(t, again.Gap)
			c.broadcast(t, "clinic-7", "number", 2)
			require.Equal(t, "1", string(next(t, client).Data))
			require.Equal(t, "2", string(next(t, client).Data))

			require.Contains(t, ack(t, c.dial(t, options), "join-clinic", 7, map[string]string{"since": "x-1"}), `"gap":true`)
			require.JSONEq(t, refusedWith("invalid request"), ack(t, client, "join-clinic", 8, map[string]int{"since": 1}))
			plain := setup(t).dial(t, options)
			require.JSONEq(t, ok, ack(t, plain, "join-clinic", 7, nil))
			require.JSONEq(t, `{"ok":true,"gap":true}`, ack(t, plain, "join-clinic", 7, since))
		})
	}
}

// forget has the journal and the windows of its processes forget all that was.
func (f *fleet) forget(t *testing.T, c clinic) {
	t.Helper()
	for range 40 {
		c.broadcast(t, "clinic-100", "big", repeat("x", 900_000))
	}
}

// A page without any room and without any event comes back, too.
func TestNodeRecoversWithoutRooms(t *testing.T) {
	needNode(t)
	t.Parallel()
	f := newFleet()
	c := f.process(t)
	l := newLine(t, c.url)
	node := startNode(t, "recover", l.url, "websocket")
	node.connected(false)
	l.cut()
	node.step("lost")
	node.connected(true)
	_, err := f.journal.Append(t.Context(), realtime.Entry{Kind: realtime.KindEvent, Name: "bye"})
	require.NoError(t, err)
	node.step("bye")
	node.step("lost")
	node.end()
}

// gapped is a journal that loses its place when it is told to.
type gapped struct {
	*realtime.MemoryJournal
	lose chan struct{}
}

func (j gapped) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	followed := make(chan error, 1)
	go func() { followed <- j.MemoryJournal.Follow(running, from, deliver) }()
	select {
	case err := <-followed:
		return err
	case <-j.lose:
		cancel()
		<-followed
		return realtime.ErrGap
	}
}

// A gap of the journal ends all connections in a way that has clients return, and they are
// not recovered before all begins anew.
func TestGapIsSaid(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			journal := gapped{&realtime.MemoryJournal{}, make(chan struct{})}
			c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) { rooms.Journal = journal })
			options := realtimetest.Options{Transport: transport}
			client := c.dial(t, options)
			ack(t, client, "join-clinic", 7)
			journal.lose <- struct{}{}
			<-client.Done()
			require.Regexp(t, "1001|close packet|Session ID unknown", client.Err().Error())
			c.broadcast(t, "clinic-7", "text", "while nobody was there")
			require.Eventually(t, func() bool { return c.hub.Stats().Gaps == 1 }, time.Minute, time.Millisecond)

			c.broadcast(t, "clinic-7", "text", "1")
			// Who comes before the journal is followed again is sent home once more.
			require.Eventually(t, func() bool {
				client, err := realtimetest.Dial(within(t), c.url, options)
				if err != nil {
					return false
				}
				_, err = client.EmitWithAck(within(t), "join-clinic", 7)
				options.Recover = client
				return err == nil || client.Close() != nil
			}, time.Minute, 10*time.Millisecond)
			c.broadcast(t, "clinic-7", "text", "a string, as an offset is")
			require.Equal(t, "a string, as an offset is", text(t, next(t, options.Recover)))
			require.NoError(t, options.Recover.Close())
			c.broadcast(t, "clinic-7", "text", "2")
			back := c.dial(t, options)
			require.True(t, back.Recovered())
			require.Equal(t, "2", text(t, next(t, back)))
		})
	}
}

func text(t *testing.T, event realtimetest.Event) (text string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(event.Data, &text))
	return text
}

// number is an event of TestSchedulesOfCuts.
type number struct{ Clinic, N int }

// Some cuts find what fails often. .ci/run has five hundred for each transport, and its word
// long has twenty thousand.
var schedules = flag.Int("schedules", 50, "half as many as lines that break, for each transport")

// TestSchedulesOfCuts has lines break, each after some bytes of the server's, under numbered
// broadcasts of two processes: nothing is lost, and nothing comes twice. It takes all of the
// machine, and other tests measure time: so none runs beside it.
func TestSchedulesOfCuts(t *testing.T) {
	const clients = 20 // for each transport
	cuts := 2 * *schedules
	for _, test := range []struct {
		transport realtimetest.Transport
		since     bool
	}{{realtimetest.WebSocket, false}, {realtimetest.Polling, false}, {realtimetest.WebSocket, true}} {
		t.Run(string(test.transport)+map[bool]string{true: " with since"}[test.since], func(t *testing.T) {
			t.Parallel()
			f := newFleet()
			processes := []clinic{f.process(t), f.process(t)}
			s := &stream{t: t, processes: processes}
			stop := s.start()
			var running sync.WaitGroup
			pages := make([]*page, clients)
			for i := range pages {
				pages[i] = &page{stream: s, line: newLine(t, ""), transport: test.transport, since: test.since, rand: rand.New(rand.NewPCG(uint64(i), 14))}
				running.Go(func() { pages[i].visit(cuts / clients) })
			}
			running.Wait()
			stop()
			for _, page := range pages {
				page.finish()
			}
			seen := 0
			for _, page := range pages {
				seen += page.seen
			}
			t.Log("numbers:", s.begun[0].Load()+s.begun[1].Load(), "seen:", seen)
			require.Greater(t, seen, 10*cuts)
			var recovered uint64
			for _, process := range processes {
				recovered += process.hub.Stats().Recovered
			}
			require.Equal(t, !test.since, recovered > uint64(cuts/2))
		})
	}
}

// stream broadcasts numbers to two clinics.
type stream struct {
	t         *testing.T
	processes []clinic
	begun     [2]atomic.Int64
}

func (s *stream) start() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var running sync.WaitGroup
	for clinic := range s.begun {
		running.Go(func() {
			for ctx.Err() == nil {
				n := s.begun[clinic].Add(1)
				hub := s.processes[rand.N(2)].hub
				event := realtime.Event{Name: "number", Data: number{clinic, int(n)}}
				if err := hub.Broadcast(s.t.Context(), fmt.Sprint("clinic-", clinic), event); err != nil {
					s.t.Error(err)
				}
				time.Sleep(time.Duration(rand.N(2000)) * time.Microsecond)
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// page is one client, through all its connections.
type page struct {
	*stream
	line      *line
	transport realtimetest.Transport
	since     bool // it keeps positions itself, and is not recovered
	at        [2]string
	rand      *rand.Rand
	client    *realtimetest.Client // the last that was let in
	joined    [2]bool
	atLeast   [2]int // the first number must not be later
	last      [2]int
	seen      int
}

// visit connects again and again.
func (p *page) visit(cuts int) {
	for range cuts {
		p.connect(20 + p.rand.IntN(6000))
	}
}

// connect is one connection, whose line breaks after so many bytes; below 0, it does not.
func (p *page) connect(budget int) {
	p.line.cut()
	p.line.lead(p.processes[p.rand.IntN(2)].url)
	p.line.breakAfter(budget)
	client, err := realtimetest.Dial(p.t.Context(), p.line.url, realtimetest.Options{Transport: p.transport, Recover: p.before()})
	if err != nil {
		return // the old client keeps its place
	}
	if p.before() != nil && (p.joined[0] || p.joined[1]) && !client.Recovered() {
		p.t.Errorf("not recovered")
	}
	p.client = client
	if p.since {
		p.joinSince()
	}
	for clinic := range p.joined {
		if p.joined[clinic] {
			continue
		}
		answer, err := client.EmitAck(p.t.Context(), "join-clinic", clinic)
		if err != nil {
			break
		}
		p.note(clinic, answer)
		p.joined[clinic], p.atLeast[clinic] = true, int(p.begun[clinic].Load())+1
	}
	if budget < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	for p.next(ctx) {
	}
	_ = client.Close()
}

func (p *page) before() *realtimetest.Client {
	if p.since {
		return nil
	}
	return p.client
}

// joinSince has the page catch up, clinic by clinic.
func (p *page) joinSince() {
	for clinic := range p.joined {
		if !p.joined[clinic] {
			continue
		}
		answer, err := p.client.EmitAck(p.t.Context(), "join-clinic", clinic, map[string]string{"since": p.at[clinic]})
		if err != nil {
			return
		}
		p.note(clinic, answer)
	}
}

func (p *page) note(clinic int, answer json.RawMessage) {
	var joined struct {
		OK, Gap bool
		At      string
	}
	if err := json.Unmarshal(answer, &joined); err != nil || !joined.OK || joined.Gap || joined.At == "" {
		p.t.Errorf("answer: %s", answer)
	}
	p.at[clinic] = joined.At
}

// next takes an event and checks its number.
func (p *page) next(ctx context.Context) bool {
	event, err := p.client.Next(ctx)
	if err != nil {
		return false
	}
	var got number
	if err := json.Unmarshal(event.Data, &got); err != nil {
		p.t.Error(err)
		return false
	}
	want := p.last[got.Clinic] + 1
	first := p.last[got.Clinic] == 0
	if !first && got.N != want || first && p.joined[got.Clinic] && got.N > p.atLeast[got.Clinic] {
		p.t.Errorf("clinic %d: %d came instead of %d", got.Clinic, got.N, want)
	}
	p.last[got.Clinic], p.at[got.Clinic] = got.N, event.Offset
	p.seen++
	return true
}

// finish has the page come back once more and requires that it has all.
func (p *page) finish() {
	joined := p.joined
	p.connect(-1)
	defer func() { _ = p.client.Close() }()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	for clinic := range joined {
		for joined[clinic] && p.last[clinic] < int(p.begun[clinic].Load()) {
			if !p.next(ctx) {
				p.t.Errorf("clinic %d: the last is %d of %d", clinic, p.last[clinic], p.begun[clinic].Load())
				return
			}
		}
	}
}
