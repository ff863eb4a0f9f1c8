package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

func plaintext(cfg *smtp.Config) { cfg.Security = smtp.InsecurePlaintext }

// withFiles is a mail of many parts, some of them in others.
func withFiles(key string) notify.Message {
	msg := message(key)
	msg.Content = &notify.Content{
		Subject: "Prescription", Text: ".\n.starts with a dot\n", HTML: "<p>.</p>",
		Files: []notify.File{
			{Name: "invite.ics", ContentType: "text/calendar; method=REQUEST", Data: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")},
			{Name: "prescription.pdf", ContentType: "application/pdf", Data: []byte("%PDF-1.7 not really")},
		},
	}
	return msg
}

// Whatever byte the connection breaks at: no panic, no half of a message taken,
// and an error that says "not sent" is true.
func TestResetAtEveryByte(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*smtp.Config){
		"chunks": plaintext,
		"data":   func(cfg *smtp.Config) { plaintext(cfg); cfg.DisableChunking = true },
	} {
		for _, side := range []string{"after reading", "after writing"} {
			t.Run(name+"/"+side, func(t *testing.T) {
				t.Parallel()
				var at atomic.Int64
				server := startRaw(t, func(s *rawServer) {
					s.wrap = func(_ int, nc net.Conn) net.Conn {
						if side == "after reading" {
							return &resetting{Conn: nc, read: int(at.Load()), write: -1}
						}
						return &resetting{Conn: nc, read: -1, write: int(at.Load())}
					}
				})
				sent, lost, unsent := 0, 0, 0
				for n := int64(0); sent == 0; n++ {
					at.Store(n)
					before := len(server.messages())
					client := newClient(t, server.addr(), func(cfg *smtp.Config) { edit(cfg); cfg.IdleTimeout = -1 })
					_, err := client.Notify(t.Context(), withFiles("reset"))
					require.NoError(t, client.Shutdown(t.Context()))
					switch {
					case err == nil:
						sent++
						require.Eventually(t, func() bool { return len(server.messages()) == before+1 }, 5*time.Second, time.Millisecond)
					case errors.Is(err, telemed.ErrAmbiguous):
						lost++
					default:
						unsent++
						require.ErrorIs(t, err, telemed.ErrUnavailable)
						require.Len(t, server.messages(), before, "byte %d: %v", n, err)
					}
					require.Less(t, n, int64(10_000))
				}
				require.Positive(t, unsent)
				require.Positive(t, lost)
				for _, raw := range server.messages() {
					whole(t, raw)
				}
			})
		}
	}
}

// The same for a message that leaves in one flight with its envelope, wherever the
// connection breaks in the flight and in the answers to it.
func TestCutsInOneFlight(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"after reading", "after writing"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			var at atomic.Int64
			server := startRaw(t, func(s *rawServer) {
				s.wrap = func(_ int, nc net.Conn) net.Conn {
					if side == "after reading" {
						return &resetting{Conn: nc, read: int(at.Load()), write: -1}
					}
					return &resetting{Conn: nc, read: -1, write: int(at.Load())}
				}
			})
			count := func(key string) (n int) {
				for _, raw := range server.messages() {
					if strings.Contains(raw, key) {
						n++
					}
				}
				return n
			}
			ambiguous, step := 0, map[string]int64{"after reading": 11, "after writing": 1}[side]
			for n, uncut := int64(0), false; !uncut; n += step {
				at.Store(n)
				before, sent := server.count(), 0
				client := newClient(t, server.addr(), plaintext)
				for _, turn := range []string{"first", "second"} {
					msg := withFiles("cut")
					msg.Content.Text = fmt.Sprintf(".\n.starts with a dot\n%s-%d-\n", turn, n)
					_, err := client.Notify(t.Context(), msg)
					key := fmt.Sprintf("%s-%d-", turn, n)
					switch {
					case err == nil:
						sent++
						require.Eventually(t, func() bool { return count(key) == 1 }, 5*time.Second, time.Millisecond)
					case errors.Is(err, telemed.ErrAmbiguous):
						ambiguous++
					default:
						require.ErrorIs(t, err, telemed.ErrUnavailable)
						require.Zero(t, count(key), "byte %d: %v", n, err)
					}
				}
				require.NoError(t, client.Shutdown(t.Context()))
				uncut = sent == 2 && server.count() == before+1
				require.Less(t, n, int64(20_000))
			}
			require.Positive(t, ambiguous)
			for _, raw := range server.messages() {
				whole(t, raw)
			}
		})
	}
}

// whole checks that raw is all of withFiles.
func whole(t *testing.T, raw string) {
	t.Helper()
	read, err := mail.ReadMessage(strings.NewReader(raw))
	require.NoError(t, err)
	_, params, err := mime.ParseMediaType(read.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.NotEmpty(t, params["boundary"])
	require.True(t, strings.HasSuffix(raw, "\r\n--"+params["boundary"]+"--\r\n"), "it is cut off: %q", raw)
	require.Contains(t, raw, "\r\n.\r\n.starts with a dot\r\n")
}

// Every place where a server can fall silent, for every way to stop waiting.
func TestHanging(t *testing.T) {
	t.Parallel()
	type place struct {
		stage     string
		ambiguous bool
		edit      func(*smtp.Config)
	}
	places := []place{
		{stage: "greeting"}, {stage: "ehlo"}, {stage: "starttls"}, {stage: "handshake"}, {stage: "auth"},
		{stage: "mail"}, {stage: "rcpt"}, {stage: "bdat"}, {stage: "body"}, {stage: "final", ambiguous: true},
		{stage: "data", edit: func(cfg *smtp.Config) { cfg.DisableChunking = true }},
		{stage: "body", edit: func(cfg *smtp.Config) { cfg.DisableChunking = true }},
		{stage: "final", ambiguous: true, edit: func(cfg *smtp.Config) { cfg.DisableChunking = true }},
		{stage: "mail", edit: func(cfg *smtp.Config) { cfg.DisablePipelining = true }},
	}
	const patience = 300 * time.Millisecond
	ways := map[string]struct {
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, patience)
		}, context.DeadlineExceeded},
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(patience, cancel)
			return ctx, cancel
		}, context.Canceled},
	}
	big := message("hanging")
	big.Content.Files = []notify.File{{Name: "scan.png", ContentType: "image/png", Data: make([]byte, 4<<20)}}
	for i, p := range places {
		for way, how := range ways {
			t.Run(fmt.Sprintf("%s %d/%s", p.stage, i, way), func(t *testing.T) {
				t.Parallel()
				var reached atomic.Pointer[time.Time]
				server := startRaw(t, func(s *rawServer) {
					s.extensions = append(s.extensions, "STARTTLS", "AUTH PLAIN")
					s.script = func(_ int, stage string) string {
						if stage != p.stage {
							return ""
						}
						reached.CompareAndSwap(nil, new(time.Now()))
						return hang
					}
					s.wrap = func(_ int, nc net.Conn) net.Conn {
						_ = nc.(*net.TCPConn).SetReadBuffer(4096) // so that a long message fills the window
						return nc
					}
				})
				client := newClient(t, server.addr(), func(cfg *smtp.Config) {
					cfg.TLS, cfg.Username, cfg.Password = server.clientTLS(), "care", telemed.NewSecret("letmein")
					if p.edit != nil {
						p.edit(cfg)
					}
				})
				msg := message("hanging")
				if p.stage == "body" {
					msg = big
				}
				ctx, cancel := how.ctx(t.Context())
				defer cancel()
				ended := make(chan time.Time, 1)
				context.AfterFunc(ctx, func() { ended <- time.Now() })
				_, err := client.Notify(ctx, msg)
				late := time.Since(<-ended)
				require.ErrorIs(t, err, how.want)
				require.NotEqual(t, errors.Is(err, telemed.ErrAmbiguous), errors.Is(err, telemed.ErrUnavailable))
				// On a busy machine the context may have ended on the way, while a long message was
				// composed.
				if hung := reached.Load(); hung != nil {
					require.Equal(t, p.ambiguous, errors.Is(err, telemed.ErrAmbiguous), "%v", err)
					require.Less(t, min(late, time.Since(*hung)), 2*time.Second)
				}
			})
		}
	}
}

// Without a context that ends, the client's own patience does.
func TestOwnTimeouts(t *testing.T) {
	t.Parallel()
	for stage, c := range map[string]struct {
		edit func(*smtp.Config)
		want error
	}{
		"greeting": {func(cfg *smtp.Config) { cfg.DialTimeout = 100 * time.Millisecond }, telemed.ErrUnavailable},
		"rcpt":     {func(cfg *smtp.Config) { cfg.CommandTimeout = 100 * time.Millisecond }, telemed.ErrUnavailable},
		"final":    {func(cfg *smtp.Config) { cfg.DataTimeout = 100 * time.Millisecond }, telemed.ErrAmbiguous},
	} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			server := startRaw(t, func(s *rawServer) { s.script = script(map[string]string{stage: hang}) })
			client := newClient(t, server.addr(), func(cfg *smtp.Config) { plaintext(cfg); c.edit(cfg) })
			_, err := client.Notify(t.Context(), message("patience"))
			require.ErrorIs(t, err, c.want)
			require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's context has not ended")
			require.Contains(t, err.Error(), "in time")
		})
	}
}

// Each reply means the same wherever it comes from, and errors carry none of its prose.
func TestReplies(t *testing.T) {
	t.Parallel()
	const prose = " <asha@example.org> Asha Rao"
	for _, c := range []struct {
		stage, reply string
		want         error
		code         int
		enhanced     string
	}{
		{"greeting", "554 5.7.1", telemed.ErrForbidden, 554, "5.7.1"},
		{"greeting", "421 4.3.2", telemed.ErrRateLimited, 421, "4.3.2"},
		{"ehlo", "502 5.5.1", telemed.ErrUnavailable, 502, "5.5.1"},
		{"mail", "530 5.7.0", telemed.ErrUnauthorized, 530, "5.7.0"},
		{"mail", "550 5.7.1", telemed.ErrForbidden, 550, "5.7.1"},
		{"mail", "553", telemed.ErrForbidden, 553, ""},
		{"mail", "552 5.3.4", telemed.ErrInvalid, 552, "5.3.4"},
		{"mail", "421 4.7.0", telemed.ErrRateLimited, 421, "4.7.0"},
		{"mail", "451 4.3.0", telemed.ErrUnavailable, 451, "4.3.0"},
		{"rcpt", "550 5.1.1", notify.ErrRecipient, 550, "5.1.1"},
		{"rcpt", "550", notify.ErrRecipient, 550, ""},
		{"rcpt", "552 5.2.2", notify.ErrRecipient, 552, "5.2.2"},
		{"rcpt", "554 5.7.1", telemed.ErrForbidden, 554, "5.7.1"},
		{"rcpt", "450 4.2.1", telemed.ErrRateLimited, 450, "4.2.1"},
		{"rcpt", "451 4.7.1", telemed.ErrRateLimited, 451, "4.7.1"},
		{"rcpt", "452 4.2.2", telemed.ErrUnavailable, 452, "4.2.2"},
		{"bdat", "552 5.3.4", telemed.ErrInvalid, 552, "5.3.4"},
		{"bdat", "554 5.7.1", telemed.ErrForbidden, 554, "5.7.1"},
		{"bdat", "451 4.3.0", telemed.ErrUnavailable, 451, "4.3.0"},
		{"bdat", "354", telemed.ErrUnavailable, 354, ""},
		{"bdat", "220", telemed.ErrUnavailable, 220, ""},
		{"final", "502 5.5.1", telemed.ErrForbidden, 502, "5.5.1"},
		{"final", "552 5.3.4", telemed.ErrInvalid, 552, "5.3.4"},
		{"final", "554 5.7.1", telemed.ErrForbidden, 554, "5.7.1"},
		{"final", "550 5.1.1", notify.ErrRecipient, 550, "5.1.1"},
		{"final", "451 4.3.0", telemed.ErrUnavailable, 451, "4.3.0"},
		{"final", "452 4.3.1", telemed.ErrUnavailable, 452, "4.3.1"},
		{"final", "354", telemed.ErrAmbiguous, 354, ""},
		{"rcpt", "550 7.1.1", notify.ErrRecipient, 550, ""},
		{"rcpt", "550 5.1.99999", notify.ErrRecipient, 550, ""},
	} {
		t.Run(c.stage+" "+c.reply, func(t *testing.T) {
			t.Parallel()
			server := startRaw(t, func(s *rawServer) { s.script = script(map[string]string{c.stage: c.reply + prose}) })
			client := newClient(t, server.addr(), plaintext)
			_, err := client.Notify(t.Context(), message("reply"))
			require.ErrorIs(t, err, c.want)
			e, ok := errors.AsType[*smtp.Error](err)
			require.True(t, ok)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.enhanced, e.Enhanced)
			require.NotContains(t, err.Error(), "sha")
		})
	}
}

func TestMalformedAnswers(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"not a code":        "hello asha@example.org",
		"code out of range": "650 asha@example.org",
		"short":             "25",
		"no separator":      "250asha@example.org",
		"changing codes":    "250-a\r\n550 b",
		"endless line":      "250 " + strings.Repeat("a", 10_000),
		"endless lines":     strings.Repeat("250-a\r\n", 10_000) + "250 a",
	} {
		for stage, want := range map[string]error{"ehlo": telemed.ErrUnavailable, "rcpt": telemed.ErrUnavailable, "final": telemed.ErrAmbiguous} {
			t.Run(name+"/"+stage, func(t *testing.T) {
				t.Parallel()
				server := startRaw(t, func(s *rawServer) { s.script = script(map[string]string{stage: reply}) })
				client := newClient(t, server.addr(), plaintext)
				_, err := client.Notify(t.Context(), message("malformed"))
				require.ErrorIs(t, err, want)
				require.NotContains(t, err.Error(), "asha")
			})
		}
	}
}

// After a refusal the connection is as new: the message that comes next is none
// of "nested MAIL command".
// A refusal in a round trip of MAIL or RCPT alone leaves the connection, any other ends it.
func TestNextMessageAfterRefusal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit        func(*smtp.Config)
		connections int
	}{
		"chunks":       {nil, 5},
		"data":         {func(cfg *smtp.Config) { cfg.DisableChunking = true }, 5},
		"step by step": {func(cfg *smtp.Config) { cfg.DisableChunking, cfg.DisablePipelining = true, true }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, client := pair(t, smtptest.Config{}, c.edit)
			for _, fault := range []smtptest.Fault{refusedRecipient, refusedSender, refusedMessage, greylisted} {
				fake.FailNext(fault)
				_, err := client.Notify(t.Context(), message("refused"))
				require.Error(t, err)
				_, err = client.Notify(t.Context(), message("next"))
				require.NoError(t, err)
			}
			require.Len(t, fake.Messages(), 4)
			require.Equal(t, c.connections, fake.Connections())
		})
	}
}

func TestRefusalIsFollowedByReset(t *testing.T) {
	t.Parallel()
	for stage, reset := range map[string]bool{"mail": true, "rcpt": true, "data": false, "final": false} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			var refusals atomic.Int32
			// Without PIPELINING and CHUNKING, and strict about nested MAIL.
			server := startRaw(t, func(s *rawServer) {
				s.extensions = nil
				s.script = func(_ int, at string) string {
					if at == stage && refusals.Add(1) <= 2 { // "final" is asked for twice
						return "451 4.3.0 later"
					}
					return ""
				}
			})
			client := newClient(t, server.addr(), plaintext)
			var err error
			for range 3 {
				_, err = client.Notify(t.Context(), message("reset"))
			}
			require.NoError(t, err)
			require.Equal(t, reset, slices.Contains(server.seen(), "RSET"))
			require.Equal(t, reset, server.count() == 1)
		})
	}
}

// A server that asks for the message although it refused the recipient gets
// neither a message nor a dot.
func TestMessageToNobody(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) {
		s.extensions = []string{"PIPELINING"}
		s.script = func(conn int, stage string) string {
			return map[string]string{"0 rcpt": "550 5.1.1 no", "0 data": "354 go on"}[fmt.Sprint(conn, " ", stage)]
		}
	})
	client := newClient(t, server.addr(), plaintext)
	_, err := client.Notify(t.Context(), message("nobody"))
	require.ErrorIs(t, err, notify.ErrRecipient)
	require.Empty(t, server.messages())
	// A connection still in DATA would hang.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = client.Notify(ctx, message("somebody"))
	require.NoError(t, err)
	require.Equal(t, 2, server.count())
}

// An idle connection that died costs nothing: the message goes over a new one.
func TestIdleConnectionDies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ stage, end string }{
		"dropped": {"idle", drop}, "sent off": {"mail", "421 4.4.2 idle too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var times atomic.Int32
			server := startRaw(t, func(s *rawServer) {
				s.script = func(conn int, stage string) string {
					if stage == c.stage && (times.Add(1) == 2 || stage == "idle" && conn == 0) {
						return c.end
					}
					return ""
				}
			})
			client := newClient(t, server.addr(), plaintext)
			for range 2 {
				_, err := client.Notify(t.Context(), message("idle"))
				require.NoError(t, err)
			}
			require.Len(t, server.messages(), 2)
			require.Equal(t, 2, server.count())
		})
	}
}

// Some relays count the messages of a connection, and say at the next MAIL that it is enough:
// by 421 and hang up, or by another temporary refusal, each time that they are asked. The
// messages go over a new connection, each once, and nobody hears of it. One that is refused
// there too is refused.
func TestConnectionThatHasCarriedEnough(t *testing.T) {
	t.Parallel()
	for _, enough := range []string{"421 4.7.0 enough", "451 4.3.2 enough", "452 4.5.3 enough", "450 enough"} {
		for name, edit := range ways {
			t.Run(enough+", "+name, func(t *testing.T) {
				t.Parallel()
				const most = 3
				var always atomic.Bool
				carried := map[int]int{}
				server := startRaw(t, func(s *rawServer) {
					s.script = func(conn int, stage string) string { // one connection at a time
						switch {
						case stage != "mail":
							return ""
						case always.Load() || carried[conn] == most:
							return enough
						}
						carried[conn]++
						return ""
					}
				})
				client := newClient(t, server.addr(), func(cfg *smtp.Config) { plaintext(cfg); edit(cfg) })
				for i := range 10 {
					_, err := client.Notify(t.Context(), message(strconv.Itoa(i)))
					require.NoError(t, err, i)
				}
				require.Len(t, server.messages(), 10)
				require.Equal(t, 4, server.count())

				always.Store(true)
				for range 3 {
					_, err := client.Notify(t.Context(), message("refused"))
					require.Error(t, err)
					require.NotErrorIs(t, err, telemed.ErrAmbiguous)
				}
				require.Len(t, server.messages(), 10)
			})
		}
	}
}

// A new connection that dies is an error, not another attempt.
func TestNewConnectionDies(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) { s.script = script(map[string]string{"mail": drop}) })
	client := newClient(t, server.addr(), plaintext)
	_, err := client.Notify(t.Context(), message("dies"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.Equal(t, 1, server.count())
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	client := newClient(t, addr, nil)
	_, err = client.Notify(t.Context(), message("nobody"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.ErrorIs(t, client.Verify(t.Context()), telemed.ErrUnavailable)
}
