package smtp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
)

// stray is a line that nobody asked for, ahead of the answer at a stage, or behind the last
// answer if the stage is "idle".
type stray struct {
	stage, line string
	glued       bool // it arrives with all answers of its flight, in one piece
	blind       bool // no client can tell it from an answer: the verdict may be its own
	late        bool // the next message does not wait until all was said
}

// strayLines are what is said unasked: a yes, a no, and what no command here is answered by.
var strayLines = []string{
	"250 2.0.0 ok, really", "250-ok\r\n250 really", "251 will forward", "550 5.1.1 on second thoughts", "554 5.7.1 no", "451 4.3.0 later",
	"421 4.4.2 going", "354 go on", "220 hello", "hello",
}

// offers are the ways of a message, and which of its stages end a flight.
var offers = map[string]struct {
	extensions string
	stages     []string
	data       bool // by DATA
	ends       func(stage string) bool
}{
	"one flight": {"250-x\r\n250-PIPELINING\r\n250 CHUNKING", []string{"mail", "rcpt", "bdat", "final", "idle"}, false,
		func(stage string) bool { return stage == "bdat" || stage == "final" }},
	"chunks, step by step": {"250-x\r\n250 CHUNKING", []string{"mail", "rcpt", "bdat", "final", "rset", "idle"}, false,
		func(string) bool { return true }},
	"data": {"250-x\r\n250 PIPELINING", []string{"mail", "rcpt", "data", "final", "idle"}, true,
		func(stage string) bool { return stage == "data" || stage == "final" }},
	"data, step by step": {"250 x", []string{"mail", "rcpt", "data", "final", "rset", "idle"}, true,
		func(string) bool { return true }},
}

// draw makes a stray. One that no client can tell from an answer, if that comes later, comes
// with the answer, most times: see the package comment. If it does not, the verdict on its
// message is nobody's fault, and that on each further message must still be right.
func draw(rnd *rand.Rand, way string) *stray {
	if rnd.IntN(2) == 0 {
		return nil
	}
	o := offers[way]
	s := &stray{stage: o.stages[rnd.IntN(len(o.stages))], line: strayLines[rnd.IntN(len(strayLines))]}
	yes, no := s.line[:2] == "25", s.line[0] == '4' || s.line[0] == '5'
	switch {
	case s.stage == "idle", s.stage == "rset":
	case yes:
		s.glued = !o.data || s.stage == "final"
	case no:
		s.glued = o.ends(s.stage)
	}
	if s.blind = s.glued && rnd.IntN(3) == 0; s.blind {
		s.glued, s.late = false, no
		return s
	}
	s.glued = s.glued || s.stage != "idle" && rnd.IntN(3) == 0
	s.late = s.stage == "rset"
	return s
}

// gossip is a server that says its answers late and in pieces, and strays among them. It
// counts how often it takes the message to each recipient.
type gossip struct {
	extensions string

	mu       sync.Mutex // guards what follows
	rnd      *rand.Rand // of the message under way
	next     *stray
	slow     bool // each line comes by itself, later than a pool looks for it
	taken    map[string]int
	speaking int
	said     map[bool]int // strays, by glued
}

// begin readies the server for a message.
func (g *gossip) begin(seed uint64, s *stray, slow bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rnd, g.next, g.slow = rand.New(rand.NewPCG(seed, 3)), s, slow
}

// take returns the stray if it is at stage, once.
func (g *gossip) take(stage string) *stray {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.next
	if s == nil || s.stage != stage {
		return nil
	}
	g.next = nil
	g.said[s.glued]++
	return s
}

func (g *gossip) speak(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.speaking += n
}

func (g *gossip) draw(n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rnd.IntN(n)
}

// silence waits until nothing more is to be said.
func (g *gossip) silence() {
	for silent := false; !silent; {
		time.Sleep(100 * time.Microsecond)
		synctest.Wait()
		g.mu.Lock()
		silent = g.speaking == 0
		g.mu.Unlock()
	}
}

// gossiper is one connection of the server.
type gossiper struct {
	*gossip
	nc   net.Conn
	r    *bufio.Reader
	held string // answers that go out with the last of the flight
	to   string
}

// say writes text in pieces with time between them.
func (c *gossiper) say(text string) {
	c.mu.Lock()
	slow := c.slow
	c.mu.Unlock()
	if slow {
		time.Sleep(time.Duration(2000+c.draw(3000)) * time.Microsecond)
		_, _ = io.WriteString(c.nc, text)
		return
	}
	for len(text) > 0 {
		n := len(text)
		if c.draw(3) == 0 {
			n = 1 + c.draw(n)
			time.Sleep(time.Duration(c.draw(4000)) * time.Microsecond)
		}
		_, _ = io.WriteString(c.nc, text[:n])
		text = text[n:]
	}
}

func (c *gossiper) answer(stage, line string) {
	c.speak(1)
	defer c.speak(-1)
	line += "\r\n"
	if s := c.take(stage); s != nil {
		if s.glued {
			c.held = s.line + "\r\n" + line
		} else {
			c.say(s.line + "\r\n")
			c.say(line)
		}
	} else if c.held != "" {
		c.held += line
	} else {
		c.say(line)
	}
	if c.r.Buffered() == 0 && c.held != "" {
		_, _ = io.WriteString(c.nc, c.held)
		c.held = ""
	}
	if stage == "final" {
		if s := c.take("idle"); s != nil {
			time.Sleep(time.Duration(c.draw(5000)) * time.Microsecond)
			c.say(s.line + "\r\n")
		}
	}
}

func (c *gossiper) serve() {
	defer c.nc.Close()
	c.r = bufio.NewReaderSize(c.nc, 64<<10)
	c.answer("greeting", "220 x")
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case verb == "EHLO":
			c.answer("ehlo", c.extensions)
		case verb == "RCPT" && strings.Contains(rest, "refuse-rcpt"):
			c.answer("rcpt", "550 5.1.1 nobody")
		case verb == "RCPT":
			c.to = strings.TrimSuffix(strings.TrimPrefix(rest, "TO:<"), ">")
			c.answer("rcpt", "250 2.1.5 ok")
		case verb == "BDAT" || verb == "DATA":
			if !c.message(verb, rest) {
				return
			}
		case verb == "QUIT":
			return
		default: // MAIL, RSET
			c.to = ""
			c.answer(strings.ToLower(verb), "250 2.1.0 ok")
		}
	}
}

func (c *gossiper) message(verb, rest string) bool {
	stage := "data"
	if verb == "BDAT" {
		size, _ := strconv.Atoi(strings.Fields(rest)[0])
		if _, err := c.r.Discard(size); err != nil {
			return false
		}
		if stage = "final"; !strings.HasSuffix(rest, "LAST") {
			stage = "bdat"
		}
	}
	switch {
	case c.to == "":
		c.answer(stage, "503 5.5.1 need RCPT")
		return true
	case stage == "bdat":
		c.answer(stage, "250 2.0.0 octets")
		return true
	case stage == "data":
		c.answer(stage, "354 go on")
		for line := ""; line != ".\r\n"; {
			var err error
			if line, err = c.r.ReadString('\n'); err != nil {
				return false
			}
		}
	}
	to := c.to
	c.to = ""
	if strings.Contains(to, "refuse-data") {
		c.answer("final", "554 5.7.1 no")
		return true
	}
	c.mu.Lock()
	c.taken[to]++
	c.mu.Unlock()
	c.answer("final", "250 2.0.0 ok")
	return true
}

// listen serves g until stop.
func (g *gossip) listen(t *testing.T) (dial func(context.Context, string, string) (net.Conn, error), stop func()) {
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { (&gossiper{gossip: g, nc: nc}).serve() })
		}
	})
	return l.Dial, func() { _ = l.Close(); served.Wait() }
}

// wrongVerdict says what is wrong with the verdict on a message, if anything is. calm is a
// message that met no stray.
func wrongVerdict(kind string, taken int, err error, calm bool) string {
	unknown := errors.Is(err, telemed.ErrAmbiguous)
	want := map[string]error{"take": nil, "refuse-rcpt": notify.ErrRecipient, "refuse-data": telemed.ErrForbidden}[kind]
	switch {
	case taken > 1:
		return "taken twice"
	case !unknown && err == nil && taken == 0:
		return "accepted, and the server refused it"
	case !unknown && err != nil && taken > 0:
		return "refused, and the server took it"
	case kind == "take" && errors.Is(err, notify.ErrRecipient):
		return "a good address counts as dead"
	case calm && !errors.Is(err, want):
		return "another verdict than the server's"
	}
	return ""
}

// Whatever a server says unasked, before, between and behind its answers, and however late
// and broken up all of it comes: no verdict is on the wrong message, and no message is sent
// twice. Each seed is the same conversation each time.
func TestNoVerdictOnTheWrongMessage(t *testing.T) {
	t.Parallel()
	for way, o := range offers {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			said := map[bool]int{}
			for seed := range uint64(40) {
				synctest.Test(t, func(t *testing.T) {
					g := &gossip{extensions: o.extensions, taken: map[string]int{}, said: said}
					rnd := rand.New(rand.NewPCG(seed, 1))
					g.begin(seed, nil, false)
					dial, stop := g.listen(t)
					defer stop()
					client, err := smtp.New(smtp.Config{Addr: "127.0.0.1:1", Dial: dial, From: "care@clinic.example", Security: smtp.InsecurePlaintext})
					require.NoError(t, err)
					defer func() { require.NoError(t, client.Shutdown(context.Background())) }()
					disturbed := false // by a line that is still under way
					for i := range 40 {
						s := draw(rnd, way)
						g.begin(rnd.Uint64(), s, disturbed || s != nil && s.late)
						kind := []string{"take", "take", "take", "refuse-rcpt", "refuse-data"}[rnd.IntN(5)]
						msg := message(strconv.Itoa(i))
						msg.To.Email = fmt.Sprintf("%s-%d@example.org", kind, i)
						_, err := client.Notify(context.Background(), msg)
						late := s != nil && s.late
						if !late {
							g.silence()
						}
						g.mu.Lock()
						taken, used := g.taken[msg.To.Email], s != nil && g.next == nil
						g.mu.Unlock()
						calm := !disturbed && (s == nil || !used || s.stage == "idle")
						if wrong := wrongVerdict(kind, taken, err, calm); wrong != "" && (taken > 1 || !used || !s.blind) {
							t.Fatalf("seed %d, message %d (%s), stray %+v: %s: %v", seed, i, kind, s, wrong, err)
						}
						disturbed = late
						if !late {
							time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
						}
					}
				})
			}
			t.Logf("%d strays came with answers, %d by themselves", said[true], said[false])
			require.Greater(t, said[true], 150)
			require.Greater(t, said[false], 150)
		})
	}
}
