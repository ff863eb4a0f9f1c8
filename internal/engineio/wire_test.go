package engineio

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
)

// A client that closes its session hears a noop, whether its poll waits or is on its way, and
// behind what there was to say.
func TestForcedCloseAnswersPollWithNoop(t *testing.T) {
	t.Parallel()
	inMemory(t, Config{}, func(w world) {
		polls := w.open()
		require.Equal(w.t, answer{200, "ok"}, w.ask("POST", polls, "1"))
		require.Equal(w.t, answer{200, "6"}, w.ask("GET", polls, ""))
		synctest.Wait()
		require.Equal(w.t, 400, w.ask("GET", polls, "").status)

		polls = w.open()
		require.Equal(w.t, answer{200, "ok"}, w.ask("POST", polls, "4bye\x1e1"))
		synctest.Wait()
		require.Equal(w.t, answer{200, "4bye\x1e6"}, w.ask("GET", polls, ""))

		polls = w.open()
		require.Equal(w.t, answer{200, "ok"}, w.ask("POST", polls, "1"))
		time.Sleep(lastPoll + moment)
		require.Equal(w.t, 400, w.ask("GET", polls, "").status, "nobody waits for ever")
		require.Empty(w.t, w.engine.live())
	})
}

// A second WebSocket is closed in each state of the first, which goes on.
func TestSecondWebSocketOnUpgradedSession(t *testing.T) {
	t.Parallel()
	inMemory(t, Config{}, func(w world) {
		polls := w.open()
		second := func() {
			require.Equal(w.t, ws.StatusPolicyViolation, w.dial(socket+polls[len(poll):]).closed())
		}
		first := w.dial(socket + polls[len(poll):])
		second()
		first.send("2probe")
		require.Equal(w.t, "3probe", first.text())
		second()
		first.send("5")
		second()
		first.send("4hello")
		require.Equal(w.t, "4hello", first.text())
	})
	inMemory(t, Config{}, func(w world) { // a session that never polled
		c := w.dial(socket)
		open := w.parse(c.text())
		require.Equal(w.t, ws.StatusPolicyViolation, w.dial(socket+"&sid="+open.SID).closed())
		c.send("4hello")
		require.Equal(w.t, "4hello", c.text())
	})
}

// Binary data goes through both transports byte for byte, empty and long.
func TestBinary(t *testing.T) {
	t.Parallel()
	inMemory(t, Config{}, func(w world) {
		polls, c := w.open(), w.openSocket()
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 100_000} {
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(rand.Uint32())
			}
			payload := "b" + base64.StdEncoding.EncodeToString(data)
			require.Equal(w.t, answer{200, "ok"}, w.ask("POST", polls, payload))
			require.Equal(w.t, answer{200, payload}, w.ask("GET", polls, ""))
			c.frame(ws.NewBinaryFrame(data))
			op, got := c.read()
			require.Equal(w.t, ws.OpBinary, op)
			require.Equal(w.t, string(data), got)
		}
		for _, wrong := range []string{"b*", "bAQID=", "bA"} {
			polls := w.open()
			require.Equal(w.t, 400, w.ask("POST", polls, wrong).status)
			require.Equal(w.t, 400, w.ask("GET", polls, "").status)
		}
	})
}

// numbered says which sender a message is of, which it is, and that it has a part behind it
// which nothing may come before.
func numbered(sender string, n int) []byte {
	head := Text([]byte(sender), []byte(strconv.Itoa(n)))
	return append(head, Binary([]byte(sender+strconv.Itoa(n)))...)
}

// counter is a sender of numbered messages.
type counter struct {
	name string
	sent chan int
}

func (c counter) Sent(n int) { c.sent <- n }

// checker reads numbered messages, as packets of polls or frames.
type checker struct {
	t    *testing.T
	next map[string]int
	half string // the text whose binary part must follow
	all  int
}

func (c *checker) take(binary bool, data string) {
	c.t.Helper()
	require.Equal(c.t, binary, c.half != "", "%q behind %q", data, c.half)
	if binary {
		require.Equal(c.t, c.half, data)
		c.half = ""
		return
	}
	require.Equal(c.t, strconv.Itoa(c.next[data[:1]]), data[1:])
	c.next[data[:1]]++
	c.half = data
	c.all++
}

func (c *checker) packets(payload string) {
	for packet := range strings.SplitSeq(payload, "\x1e") {
		switch packet[0] {
		case packetMessage:
			c.take(false, packet[1:])
		case packetBinary:
			data, err := base64.StdEncoding.DecodeString(packet[1:])
			require.NoError(c.t, err)
			c.take(true, string(data))
		default:
			require.Contains(c.t, "26", packet)
		}
	}
}

// Several senders put at once, beside heartbeats, while the session changes to a WebSocket:
// each order holds, messages stay whole, and each sender hears of its own bytes.
func TestSendersShareASession(t *testing.T) {
	t.Parallel()
	const senders, count = 4, 200
	var session *Session
	cfg := Config{Open: func(s *Session, _ *http.Request) (Handler, error) {
		session = s
		return echo{s}, nil
	}}
	inMemory(t, cfg, func(w world) {
		polls := w.open()
		var all sync.WaitGroup
		waiting := make([]int, senders)
		var from []counter
		for n := range senders {
			from = append(from, counter{string(rune('a' + n)), make(chan int, 3*count)})
		}
		for n := range senders {
			all.Go(func() {
				for i := range count {
					message := numbered(from[n].name, i)
					kept, err := session.Put(from[n], [][]byte{message}, message)
					if err != nil {
						t.Error(err)
					}
					waiting[n] += kept
					time.Sleep(rand.N(time.Millisecond))
				}
			})
		}
		check := &checker{t: w.t, next: map[string]int{}}
		for check.all < count {
			check.packets(w.ask("GET", polls, "").body)
		}
		c := w.probe(polls)
		check.packets(w.ask("GET", polls, "").body)
		c.send("5")
		for check.all < senders*count || check.half != "" {
			switch op, data := c.read(); {
			case op == ws.OpBinary:
				check.take(true, data)
			case data == "2":
			default:
				check.take(false, data[1:])
			}
		}
		all.Wait()
		synctest.Wait()
		for n, counted := range from {
			gone := 0
			for len(counted.sent) > 0 {
				gone += <-counted.sent
			}
			require.Equal(w.t, waiting[n], gone, counted.name)
		}
		require.Zero(w.t, session.out.gauge.bytes)
	})
}

// Forty clients upgrade, fail to, or are cut in the middle while numbered messages come for
// all. Whoever stays has each of them once and in order.
func TestUpgradeUnderBroadcasts(t *testing.T) {
	t.Parallel()
	const clients, count = 40, 200
	var mu sync.Mutex
	var sessions []*Session
	cfg := Config{Open: func(s *Session, _ *http.Request) (Handler, error) {
		mu.Lock()
		defer mu.Unlock()
		sessions = append(sessions, s)
		return echo{s}, nil
	}}
	inMemory(t, cfg, func(w world) {
		var all sync.WaitGroup
		for n := range clients {
			u := &upgrader{world: w, polls: w.open(), check: &checker{t: w.t, next: map[string]int{}}}
			all.Go(func() { u.run(n, count) })
		}
		for i := range count {
			message := numbered("n", i)
			for _, s := range sessions {
				if _, err := s.Put(nil, [][]byte{message}, message); err != nil && s.Context().Err() == nil {
					s.Close(err)
				}
			}
			time.Sleep(time.Millisecond)
		}
		all.Wait()
		time.Sleep(time.Minute)
		require.Empty(w.t, w.engine.live(), "nobody is left who is gone")
	})
}

// upgrader is a session that polls and upgrades under messages.
type upgrader struct {
	world
	polls string
	check *checker
}

func (u *upgrader) run(n, count int) {
	until := func(part int) {
		for u.check.all < part {
			u.check.packets(u.ask("GET", u.polls, "").body)
		}
	}
	until(rand.N(count/2) + 1)
	if n%4 == 1 { // one that fails, and polling goes on
		failed := u.probe(u.polls)
		failed.send("nonsense")
		failed.closed()
		until(u.check.all + 10)
	}
	c := u.probe(u.polls)
	u.check.packets(u.ask("GET", u.polls, "").body)
	if n%4 == 2 { // cut before the end of the change: polling goes on
		_ = c.conn.Close()
		until(u.check.all + 10)
		c = u.probe(u.polls)
		u.check.packets(u.ask("GET", u.polls, "").body)
	}
	c.send("5")
	if n%4 == 3 { // cut right behind it: the session ends
		_ = c.conn.Close()
		return
	}
	for u.check.all < count || u.check.half != "" {
		switch op, data := c.read(); {
		case op == ws.OpBinary:
			u.check.take(true, data)
		case data == "2":
			c.send("3")
		default:
			u.check.take(false, data[1:])
		}
	}
	_ = c.conn.Close()
}

// What there is to say when the session ends is not said, and whoever waits does not any more.
func TestWaitEndsWithTheSession(t *testing.T) {
	t.Parallel()
	var session *Session
	cfg := Config{Open: func(s *Session, _ *http.Request) (Handler, error) {
		session = s
		return echo{s}, nil
	}}
	inMemory(t, cfg, func(w world) {
		w.open()
		session.Send(Text(make([]byte, maxOwn)))
		waited := make(chan struct{})
		go func() {
			session.Wait()
			close(waited)
		}()
		synctest.Wait()
		select {
		case <-waited:
			require.Fail(w.t, "much waits")
		default:
		}
		session.Close(telemed.ErrClosed)
		<-waited
		<-session.Finished()
	})
}

// A panic in the code of a session ends that one, and the program goes on.
func TestPanicEndsOneSession(t *testing.T) {
	t.Parallel()
	cfg := Config{Open: func(s *Session, _ *http.Request) (Handler, error) { return mined{echo{s}}, nil }, Logger: quiet}
	inMemory(t, cfg, func(w world) {
		c := w.openSocket()
		c.send("4hello")
		require.Equal(w.t, "4hello", c.text())
		c.send("4bang")
		c.closed()
		synctest.Wait()
		require.Empty(w.t, w.engine.live())
		_, err := w.try(context.Background(), "GET", poll, "")
		require.NoError(w.t, err)
	})
}

type mined struct{ echo }

func (m mined) Message(data []byte, binary bool) error {
	if string(data) == "bang" {
		panic(fmt.Sprintf("about %s", data))
	}
	return m.echo.Message(data, binary)
}

// While the client is told to upgrade, a poll waits a little. If the client upgrades meanwhile,
// the poll was too late.
func TestPollsBesideAnUpgrade(t *testing.T) {
	t.Parallel()
	inMemory(t, Config{}, func(w world) {
		polls := w.open()
		c := w.probe(polls)
		for range 2 {
			start := time.Now()
			require.Equal(w.t, answer{200, "6"}, w.ask("GET", polls, ""))
			require.Equal(w.t, pausedPoll, time.Since(start))
		}
		late := w.begin("GET", polls, "")
		start := time.Now()
		c.send("5")
		require.Equal(w.t, 400, (<-late).status)
		require.Zero(w.t, time.Since(start))
		c.send("4hello")
		require.Equal(w.t, "4hello", c.text())
	})
}
