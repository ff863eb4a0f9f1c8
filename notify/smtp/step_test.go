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
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
)

// fickle is a server whose every answer comes late and in pieces, and which says lines
// that nobody asked for. It keeps what became of each recipient's message.
type fickle struct {
	rnd        *rand.Rand
	extensions string
	stray      func(f *fickle, stage string) string // a line more behind the answer at that stage

	mu       sync.Mutex // guards what follows
	taken    map[string]bool
	noise    int
	speaking int // lines that are not out whole
}

func (f *fickle) chance(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rnd.IntN(n) == 0
}

func (f *fickle) pause(most time.Duration) {
	f.mu.Lock()
	d := time.Duration(f.rnd.Int64N(int64(most)))
	f.mu.Unlock()
	time.Sleep(d)
}

func (f *fickle) speak(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.speaking += n
}

// say writes line in pieces, with time between them.
func (f *fickle) say(nc io.Writer, line string) {
	f.speak(1)
	defer f.speak(-1)
	for line += "\r\n"; len(line) > 0; {
		n := len(line)
		if f.chance(3) {
			n = min(len(line), 5)
			f.pause(3 * time.Millisecond)
		}
		_, _ = io.WriteString(nc, line[:n])
		line = line[n:]
	}
}

func (f *fickle) answer(nc io.Writer, stage, line string) {
	extra := f.stray(f, stage)
	if extra != "" {
		f.speak(1)
		defer f.speak(-1)
		f.mu.Lock()
		f.noise++
		f.mu.Unlock()
	}
	f.say(nc, line)
	if extra != "" {
		f.pause(5 * time.Millisecond)
		f.say(nc, extra)
	}
}

// silence waits until nothing more is to be said. Lines that are under way while the next
// message is, are another test's.
func (f *fickle) silence() {
	for silent := false; !silent; {
		time.Sleep(100 * time.Microsecond)
		synctest.Wait()
		f.mu.Lock()
		silent = f.speaking == 0
		f.mu.Unlock()
	}
}

func (f *fickle) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	f.say(nc, "220 fickle")
	to := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "EHLO":
			f.say(nc, f.extensions)
		case "MAIL":
			to = ""
			f.answer(nc, "mail", "250 ok")
		case "RCPT":
			if strings.Contains(rest, "refuse-rcpt") {
				f.answer(nc, "rcpt", "550 5.1.1 nobody")
				break
			}
			to = strings.TrimSuffix(strings.TrimPrefix(rest, "TO:<"), ">")
			f.answer(nc, "rcpt", "250 ok")
		case "BDAT", "DATA":
			if !f.message(nc, r, verb, rest, to) {
				return
			}
		case "QUIT":
			return
		default:
			f.answer(nc, strings.ToLower(verb), "250 ok")
		}
	}
}

// message takes a message, or a chunk, and answers.
func (f *fickle) message(nc io.Writer, r *bufio.Reader, verb, rest, to string) bool {
	last := strings.HasSuffix(rest, "LAST")
	if verb == "BDAT" {
		size, _ := strconv.Atoi(strings.Fields(rest)[0])
		if _, err := r.Discard(size); err != nil {
			return false
		}
	}
	if to == "" {
		f.answer(nc, "nobody", "503 5.5.1 need RCPT")
		return true
	}
	if verb == "BDAT" && !last {
		f.answer(nc, "bdat", "250 ok")
		return true
	}
	if verb == "DATA" {
		f.answer(nc, "data", "354 go on")
		for line := ""; line != ".\r\n"; {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				return false
			}
		}
	}
	if strings.Contains(to, "refuse-data") {
		f.answer(nc, "final", "554 5.7.1 no")
		return true
	}
	f.mu.Lock()
	f.taken[to] = true
	f.mu.Unlock()
	f.answer(nc, "final", "250 ok")
	return true
}

var flights = map[string]string{
	"one flight":   "250-fickle\r\n250-PIPELINING\r\n250 CHUNKING",
	"data":         "250-fickle\r\n250 PIPELINING",
	"step by step": "250 fickle",
}

// converse sends messages to f, some of which it refuses, with random pauses between them,
// and checks each verdict against what f did.
func converse(t *testing.T, f *fickle, messages int) (wrong, unknown int) {
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { f.serve(nc) })
		}
	})
	defer served.Wait()
	defer l.Close()
	client, err := smtp.New(smtp.Config{Addr: l.Address(), Dial: l.Dial, From: "care@clinic.example", Security: smtp.InsecurePlaintext})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Shutdown(context.Background())) }()
	for i := range messages {
		kind := []string{"take", "take", "refuse-rcpt", "refuse-data"}[i*7%4]
		if f.chance(2) {
			kind = "take"
		}
		msg := message(strconv.Itoa(i))
		msg.To.Email = fmt.Sprintf("%s-%d@example.org", kind, i)
		_, err := client.Notify(context.Background(), msg)
		f.mu.Lock()
		taken := f.taken[msg.To.Email]
		f.mu.Unlock()
		switch {
		case errors.Is(err, telemed.ErrAmbiguous):
			unknown++
		case taken != (err == nil), errors.Is(err, notify.ErrRecipient) && kind != "refuse-rcpt",
			errors.Is(err, telemed.ErrForbidden) && kind != "refuse-data":
			wrong++
		case err != nil && kind == "take":
			unknown++
		}
		f.silence()
		if f.chance(2) {
			f.pause(20 * time.Millisecond)
		}
	}
	return wrong, unknown
}

// Whatever a server says between two messages, and however late and broken up its
// answers come, no verdict is on the wrong message.
func TestG22EveryAnswerBelongsToItsCommand(t *testing.T) {
	t.Parallel()
	for name, extensions := range flights {
		for line, strays := range map[string]string{"refusal": "554 5.7.1 on second thoughts", "yes": "250 ok, really", "goodbye": "421 4.4.2 idle"} {
			t.Run(name+"/"+line, func(t *testing.T) {
				t.Parallel()
				noise := 0
				for seed := range uint64(20) {
					synctest.Test(t, func(t *testing.T) {
						f := &fickle{rnd: rand.New(rand.NewPCG(seed, 1)), extensions: extensions, taken: map[string]bool{}}
						f.stray = func(f *fickle, stage string) string {
							if (stage == "final" || stage == "rset" || stage == "noop") && f.chance(3) {
								return strays
							}
							return ""
						}
						wrong, unknown := converse(t, f, 30)
						require.Zero(t, wrong)
						require.Zero(t, unknown)
						noise += f.noise
					})
				}
				require.Greater(t, noise, 100, "the server said nothing unasked")
			})
		}
	}
}

// A line too many while an envelope is under way cannot be told from an answer by itself.
// Behind it a recipient is accepted without a sender, or a message without a recipient,
// and then there is no verdict: the address counts as good, and the message as not sent, or
// as ambiguous if it was out.
func TestStrayLineInAnEnvelope(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one flight", "data"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strays, doubts := 0, 0
			for seed := range uint64(20) {
				synctest.Test(t, func(t *testing.T) {
					f := &fickle{rnd: rand.New(rand.NewPCG(seed, 2)), extensions: flights[name], taken: map[string]bool{}}
					f.stray = func(f *fickle, stage string) string {
						if stage == "mail" && f.chance(6) {
							return "550 5.1.1 on second thoughts"
						}
						return ""
					}
					wrong, unknown := converse(t, f, 30)
					require.Zero(t, wrong)
					strays, doubts = strays+f.noise, doubts+unknown
				})
			}
			require.Positive(t, strays)
			require.Positive(t, doubts)
		})
	}
}

// A server that says yes and no to one message leaves its fate unknown, whichever it says
// first. One that repeats itself does not. Neither connection is used again.
func TestAnswersThatDisagree(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, reply string
		data        bool
		want        error
	}{
		{"yes and no to BDAT", "250 ok\r\n554 5.7.1 no", false, telemed.ErrAmbiguous},
		{"no and yes to BDAT", "554 5.7.1 no\r\n250 ok", false, telemed.ErrAmbiguous},
		{"yes and no to DATA", "250 ok\r\n554 5.7.1 no", true, telemed.ErrAmbiguous},
		{"no and yes to DATA", "554 5.7.1 no\r\n250 ok", true, telemed.ErrAmbiguous},
		{"no code", "250 ok\r\n55", true, telemed.ErrAmbiguous},
		{"not SMTP", "250 ok\r\nhello", true, telemed.ErrAmbiguous},
		{"yes twice", "250 ok\r\n250 ok", true, nil},
		{"no twice", "554 5.7.1 no\r\n554 5.7.1 no", true, telemed.ErrForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var disagree atomic.Bool
			server := startRaw(t, func(s *rawServer) {
				s.script = func(conn int, stage string) string {
					if conn > 0 || stage != "final" {
						return ""
					}
					if disagree.Load() {
						return c.reply
					}
					return ""
				}
			})
			client := newClient(t, server.addr(), func(cfg *smtp.Config) { plaintext(cfg); cfg.DisableChunking = c.data })
			_, err := client.Notify(t.Context(), message("first"))
			require.NoError(t, err)
			disagree.Store(true)
			_, err = client.Notify(t.Context(), message("second"))
			require.ErrorIs(t, err, c.want)
			_, err = client.Notify(t.Context(), message("third"))
			require.NoError(t, err)
			require.Equal(t, 2, server.count())
		})
	}
}
