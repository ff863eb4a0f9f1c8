package smtp_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
)

// sink is a server that takes everything, remembers nothing and allocates nothing once a
// connection is open.
type sink struct {
	extensions string
	messages   atomic.Int64
	octets     atomic.Int64
}

func (s *sink) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReaderSize(nc, 4096)
	say := func(answer string) { _, _ = io.WriteString(nc, answer) }
	say("220 sink\r\n")
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case bytes.HasPrefix(line, []byte("EHLO")):
			say(s.extensions)
		case bytes.HasPrefix(line, []byte("BDAT")):
			n := 0
			for _, b := range line[5:] {
				if b < '0' || b > '9' {
					break
				}
				n = n*10 + int(b-'0')
			}
			last := bytes.HasSuffix(line, []byte("LAST\r\n"))
			if _, err := r.Discard(n); err != nil {
				return
			}
			s.octets.Add(int64(n))
			if last {
				s.messages.Add(1)
			}
			say("250 ok\r\n")
		case bytes.HasPrefix(line, []byte("DATA")):
			say("354 go on\r\n")
			for !bytes.Equal(line, []byte(".\r\n")) {
				if line, err = r.ReadSlice('\n'); err != nil {
					return
				}
				s.octets.Add(int64(len(line)))
			}
			s.messages.Add(1)
			say("250 ok\r\n")
		case bytes.HasPrefix(line, []byte("QUIT")):
			return
		default:
			say("250 ok\r\n")
		}
	}
}

// flightCounter counts round trips: how often the client writes after it has read.
type flightCounter struct {
	net.Conn
	flights *atomic.Int64
	writing bool
}

func (c *flightCounter) Write(p []byte) (int, error) {
	if !c.writing {
		c.writing = true
		c.flights.Add(1)
	}
	return c.Conn.Write(p)
}

func (c *flightCounter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.writing = false
	}
	return n, err
}

// sunk returns a client of s, and what counts its round trips. In memory it may live in a
// bubble; only over loopback are all allocations the client's.
func sunk(t testing.TB, s *sink, inMemory bool, edit func(*smtp.Config)) (*smtp.Client, *atomic.Int64) {
	l, err := fake.Listen("", inMemory)
	require.NoError(t, err)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { s.serve(nc) })
		}
	})
	flights := new(atomic.Int64)
	cfg := smtp.Config{Addr: l.Address(), From: "Clinic <care@clinic.example>", Security: smtp.InsecurePlaintext}
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := l.Dial(ctx, network, addr)
		if !inMemory { // the socket itself, in which the client can look
			return nc, err
		}
		return &flightCounter{Conn: nc, flights: flights}, err
	}
	if edit != nil {
		edit(&cfg)
	}
	client, err := smtp.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.Shutdown(context.Background()))
		require.NoError(t, l.Close())
		served.Wait()
	})
	return client, flights
}

// confirmation is an ordinary message of 4 kB.
func confirmation() notify.Message {
	const line = "Dear Asha, your appointment with Dr. Rao is confirmed for Monday, 24 November 2026, 10:30 IST."
	msg := message("confirmed")
	msg.Content.Text = strings.Repeat(line+"\n", 12)
	msg.Content.HTML = "<!doctype html><html lang=en><body>" + strings.Repeat("<p>"+line+"</p>\n", 24) + "</body></html>"
	return msg
}

func withScan(size int) notify.Message {
	msg := confirmation()
	msg.Content.Files = []notify.File{{Name: "scan.pdf", ContentType: "application/pdf", Data: make([]byte, size)}}
	return msg
}

// Round trips of each message of a connection, by what the server offers.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	forged := confirmation()
	forged.Content.Text = "Hello\nrcpt to:<victim@example.org>\nDATA\n"
	for name, c := range map[string]struct {
		extensions  string
		msg         notify.Message
		pause       time.Duration
		first, next int64
	}{
		"pipelined chunks":                {"250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n", confirmation(), 0, 2, 1},
		"after a moment":                  {"250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n", confirmation(), time.Second, 2, 1},
		"after a while":                   {"250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n", confirmation(), 10 * time.Second, 2, 2},
		"a long one":                      {"250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n", withScan(1 << 20), 0, 2, 2},
		"one that reads like a dialogue":  {"250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n", forged, 0, 2, 2},
		"chunks without pipelining":       {"250-sink\r\n250 CHUNKING\r\n", confirmation(), 0, 4, 3},
		"pipelining without chunks":       {"250-sink\r\n250 PIPELINING\r\n", confirmation(), 0, 2, 2},
		"neither":                         {"250 sink\r\n", confirmation(), 0, 4, 4},
		"a long one without an extension": {"250 sink\r\n", withScan(1 << 20), 0, 4, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &sink{extensions: c.extensions}
				client, flights := sunk(t, s, true, nil)
				require.NoError(t, client.Verify(t.Context())) // EHLO and NOOP
				for i, want := range []int64{c.first, c.next, c.next} {
					before := flights.Load()
					_, err := client.Notify(t.Context(), c.msg)
					require.NoError(t, err)
					require.Equal(t, want, flights.Load()-before, "message %d", i+1)
					time.Sleep(c.pause)
				}
				require.EqualValues(t, 3, s.messages.Load())
			})
		})
	}
}

// A message costs so many allocations and bytes at most, all of the process counted.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	const most, mostBytes = 45, 3_000
	for name, extensions := range map[string]string{
		"chunks": "250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n", "data": "250-sink\r\n250 PIPELINING\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := sunk(t, &sink{extensions: extensions}, false, func(cfg *smtp.Config) { cfg.MaxMessages = 1 << 30 })
			msg := confirmation()
			send := func() {
				_, err := client.Notify(context.Background(), msg)
				require.NoError(t, err)
			}
			for range 10 {
				send()
			}
			const runs = 200
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for range runs {
				send()
			}
			runtime.ReadMemStats(&after)
			t.Logf("%d allocations, %d bytes a message", (after.Mallocs-before.Mallocs)/runs, (after.TotalAlloc-before.TotalAlloc)/runs)
			require.LessOrEqual(t, (after.Mallocs-before.Mallocs)/runs, uint64(most))
			require.LessOrEqual(t, (after.TotalAlloc-before.TotalAlloc)/runs, uint64(mostBytes))
		})
	}
}

// Eight messages of 5 MB under way at once hold little more than the file.
func TestLongMessagesAreNotHeld(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	const senders, size = 8, 5 << 20
	for name, extensions := range map[string]string{
		"chunks": "250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n", "data": "250-sink\r\n250 PIPELINING\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := &sink{extensions: extensions}
			client, _ := sunk(t, s, false, func(cfg *smtp.Config) { cfg.MaxConns = senders })
			msg := withScan(size)
			debug.FreeOSMemory()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var wg sync.WaitGroup
			for i := range senders {
				wg.Go(func() {
					long := msg
					long.Key = strconv.Itoa(i)
					if _, err := client.Notify(context.Background(), long); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			runtime.ReadMemStats(&after)
			held := int64(after.TotalAlloc-before.TotalAlloc) / senders
			t.Logf("%d bytes allocated a message", held)
			require.Less(t, held, int64(128<<10))
			require.EqualValues(t, senders, s.messages.Load())
			require.Greater(t, s.octets.Load(), int64(senders*size))
		})
	}
}

func BenchmarkNotify(b *testing.B) {
	client, _ := sunk(b, &sink{extensions: "250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n"}, false, func(cfg *smtp.Config) { cfg.MaxMessages = 1 << 30 })
	msg := confirmation()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Notify(context.Background(), msg); err != nil {
			b.Fatal(err)
		}
	}
}
