package smtp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// Many at once over few connections: each gets its own mail, once.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) { cfg.MaxConns = 4 })
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			msg := message(strconv.Itoa(i))
			msg.To.Email = fmt.Sprintf("patient%d@example.org", i)
			msg.Content.Text = fmt.Sprintf("for %d\n", i)
			if i%8 == 0 {
				fake.RejectRecipient(msg.To.Email)
			}
			_, err := client.Notify(t.Context(), msg)
			if refused := i%8 == 0; refused != errors.Is(err, notify.ErrRecipient) || !refused && err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	require.Len(t, fake.Messages(), 56)
	require.LessOrEqual(t, fake.Connections(), 4+8, "a refusal ends its connection")
	seen := map[string]bool{}
	for _, got := range fake.Messages() {
		var n int
		_, err := fmt.Sscanf(got.Text, "for %d", &n)
		require.NoError(t, err)
		require.Equal(t, []string{fmt.Sprintf("patient%d@example.org", n)}, got.Recipients)
		require.Equal(t, got.Recipients[0], got.To[0].Address)
		require.False(t, seen[got.Text])
		seen[got.Text] = true
	}
}

func TestConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*smtp.Config)
		want int
	}{
		"kept":                 {nil, 1},
		"after so many":        {func(cfg *smtp.Config) { cfg.MaxMessages = 2 }, 2},
		"never kept":           {func(cfg *smtp.Config) { cfg.IdleTimeout = -1 }, 4},
		"not for its own sake": {func(cfg *smtp.Config) { cfg.MaxConns = 9 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, client := pair(t, smtptest.Config{}, c.edit)
			for i := range 4 {
				_, err := client.Notify(t.Context(), message(strconv.Itoa(i)))
				require.NoError(t, err)
			}
			require.Equal(t, c.want, fake.Connections())
		})
	}
}

// A relay that ends connections often is not looked at anew each time: a ticket says that it
// is the same server.
func TestNextConnectionResumes(t *testing.T) {
	t.Parallel()
	var resumed []bool
	_, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) {
		cfg.MaxMessages = 1
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.VerifyConnection = func(state tls.ConnectionState) error {
			resumed = append(resumed, state.DidResume)
			return nil
		}
	})
	for i := range 3 {
		_, err := client.Notify(t.Context(), message(strconv.Itoa(i)))
		require.NoError(t, err)
	}
	require.Equal(t, []bool{false, true, true}, resumed)
}

// An answer too many would be taken for the answer to the next message.
func TestUnaskedAnswer(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) {
		s.script = func(conn int, stage string) string {
			switch {
			case conn == 0 && stage == "final":
				return "250 2.0.0 ok\r\n250 2.0.0 and another one"
			case conn == 1 && stage == "mail":
				return "550 5.7.1 no"
			}
			return ""
		}
	})
	client := newClient(t, server.addr(), plaintext)
	_, err := client.Notify(t.Context(), message("first"))
	require.NoError(t, err)
	_, err = client.Notify(t.Context(), message("second"))
	require.ErrorIs(t, err, telemed.ErrForbidden)
	require.Equal(t, 2, server.count())
}

func TestIdleConnectionExpires(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(*rawServer) {})
	client := newClient(t, server.addr(), func(cfg *smtp.Config) { plaintext(cfg); cfg.IdleTimeout = 20 * time.Millisecond })
	require.NoError(t, client.Verify(t.Context()))
	require.Eventually(t, func() bool { seen := server.seen(); return seen[len(seen)-1] == "QUIT" }, 5*time.Second, time.Millisecond)
	require.NoError(t, client.Verify(t.Context()))
	require.Equal(t, 2, server.count())
}

func TestVerify(t *testing.T) {
	t.Parallel()
	var noops atomic.Int32
	server := startRaw(t, func(s *rawServer) {
		s.script = func(_ int, stage string) string {
			if stage == "noop" && noops.Add(1) == 2 {
				return drop
			}
			return ""
		}
	})
	client := newClient(t, server.addr(), plaintext)
	require.NoError(t, client.Verify(t.Context()))
	require.NoError(t, client.Verify(t.Context()), "a connection that died while idle is no failure")
	require.Equal(t, 2, server.count())
	require.Empty(t, server.messages())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, client.Verify(ctx), context.Canceled)
}

// While every connection is in use, the next message waits, and no longer than its
// context.
func TestWaitingForAConnection(t *testing.T) {
	t.Parallel()
	busy := make(chan struct{})
	server := startRaw(t, func(s *rawServer) {
		s.script = func(_ int, stage string) string {
			if stage == "rcpt" {
				<-busy
			}
			return ""
		}
	})
	client := newClient(t, server.addr(), func(cfg *smtp.Config) { plaintext(cfg); cfg.MaxConns = 1 })
	first := make(chan error, 1)
	go func() {
		_, err := client.Notify(context.Background(), message("first"))
		first <- err
	}()
	require.Eventually(t, func() bool { return len(server.seen()) >= 2 }, 5*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := client.Notify(ctx, message("second"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	close(busy)
	require.NoError(t, <-first)
	_, err = client.Notify(t.Context(), message("third"))
	require.NoError(t, err)
	require.Equal(t, 1, server.count())
}

func TestCloseWaits(t *testing.T) {
	t.Parallel()
	busy := make(chan struct{})
	server := startRaw(t, func(s *rawServer) {
		s.script = func(_ int, stage string) string {
			if stage == "rcpt" {
				<-busy
			}
			return ""
		}
	})
	client := newClient(t, server.addr(), plaintext)
	sent := make(chan error, 1)
	go func() {
		_, err := client.Notify(context.Background(), message("last"))
		sent <- err
	}()
	require.Eventually(t, func() bool { return len(server.seen()) >= 2 }, 5*time.Second, time.Millisecond)
	closed := make(chan error, 1)
	go func() { closed <- client.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := client.Notify(ctx, message("late"))
		return errors.Is(err, telemed.ErrClosed)
	}, 5*time.Second, time.Millisecond)
	_, err := client.Notify(t.Context(), message("late"))
	require.ErrorIs(t, err, telemed.ErrClosed)
	require.ErrorIs(t, client.Verify(t.Context()), telemed.ErrClosed)
	select {
	case <-closed:
		t.Fatal("Close did not wait for the message")
	default:
	}
	close(busy)
	require.NoError(t, <-sent)
	require.NoError(t, <-closed)
	require.NoError(t, client.Shutdown(t.Context()), "closing again")
}

// Close stops waiting when its context ends, and cuts off what is under way.
func TestCloseCutsOff(t *testing.T) {
	t.Parallel()
	for stage, want := range map[string]error{"greeting": telemed.ErrUnavailable, "rcpt": telemed.ErrUnavailable, "final": telemed.ErrAmbiguous} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			reached := make(chan struct{})
			var once sync.Once
			server := startRaw(t, func(s *rawServer) {
				s.script = func(_ int, at string) string {
					if at != stage {
						return ""
					}
					once.Do(func() { close(reached) })
					return hang
				}
			})
			client := newClient(t, server.addr(), plaintext)
			sent := make(chan error, 1)
			go func() {
				_, err := client.Notify(context.Background(), message("cut"))
				sent <- err
			}()
			<-reached
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, client.Shutdown(ctx), context.DeadlineExceeded)
			select {
			case err := <-sent:
				require.ErrorIs(t, err, want)
			case <-time.After(5 * time.Second):
				t.Fatal("the message goes on although the client is closed")
			}
		})
	}
}

// Close may be called by a signal handler and by a defer at the same time.
func TestCloseAtOnce(t *testing.T) {
	t.Parallel()
	for range 200 {
		client, err := smtp.New(smtp.Config{Addr: "mail.invalid:587", From: "care@clinic.example", MaxConns: 64})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := client.Shutdown(ctx); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		wg.Wait()
		cancel()
		if t.Failed() {
			return
		}
	}
}

// A function of the application's that panics while a connection is made leaves no slot
// taken and no connection open. The panic is the caller's.
func TestPanicWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"Dial", "Token"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			bad := func(here string) {
				if here == at && calls.Add(1) == 1 {
					panic("zkpanic")
				}
			}
			var opened []net.Conn
			_, client := pair(t, smtptest.Config{Username: "care", Password: "letmein", Mechanisms: []string{"XOAUTH2"}}, func(cfg *smtp.Config) {
				cfg.MaxConns, cfg.Username = 1, "care"
				cfg.Token = func(context.Context) (string, error) { bad("Token"); return "letmein", nil }
				cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					bad("Dial")
					nc, err := new(net.Dialer).DialContext(ctx, network, addr)
					opened = append(opened, nc)
					return nc, err
				}
			})
			require.PanicsWithValue(t, "zkpanic", func() { _, _ = client.Notify(t.Context(), message("panics")) })
			for _, nc := range opened {
				_, err := nc.Write([]byte("x"))
				require.ErrorIs(t, err, net.ErrClosed)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := client.Notify(ctx, message("next"))
			require.NoError(t, err)
		})
	}
}

// IdleTimeout counts from the last message of a connection, and not from an earlier one.
func TestIdleTimeoutCountsFromTheLastMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{extensions: "250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n"}
		var dialled, closed atomic.Int64
		client, _ := sunk(t, s, true, func(cfg *smtp.Config) {
			dial := cfg.Dial
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialled.Add(1)
				nc, err := dial(ctx, network, addr)
				return &closing{nc, &closed}, err
			}
		})
		for i := range 5 {
			_, err := client.Notify(t.Context(), message(strconv.Itoa(i)))
			require.NoError(t, err)
			time.Sleep(20 * time.Second)
			synctest.Wait()
			require.EqualValues(t, 1, dialled.Load())
			require.Zero(t, closed.Load())
		}
		time.Sleep(10*time.Second - time.Millisecond)
		synctest.Wait()
		require.Zero(t, closed.Load())
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 1, closed.Load())
		_, err := client.Notify(t.Context(), message("later"))
		require.NoError(t, err)
		require.EqualValues(t, 2, dialled.Load())
	})
}

type closing struct {
	net.Conn
	times *atomic.Int64
}

func (c *closing) Close() error { c.times.Add(1); return c.Conn.Close() }
