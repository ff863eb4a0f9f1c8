package socketio_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// Whatever others do with their connections, who reads hears everything, once and in order,
// and nothing of the others stays.
func TestHostileCrowd(t *testing.T) {
	t.Parallel()
	eachWriter(t, func(t *testing.T, begin func(*httptest.Server)) {
		const crowd, rounds = 6, 25
		c := start(t, begin, func(_ *realtime.Config, wire *socketio.Config) { wire.ConnectTimeout = 4 * time.Second })
		trusting := &tls.Config{InsecureSkipVerify: true} // httptest made the certificate
		var readers []*realtimetest.Client
		for n := range 4 {
			reader := c.dial(t, realtimetest.Options{Header: cookie("ada"), Transport: transports[n%2], TLS: trusting})
			require.Equal(t, ok, ack(t, reader, "join-clinic", "7"))
			readers = append(readers, reader)
		}
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		sent := make(chan int, 1)
		go func() { sent <- c.talk(ctx, t) }()

		var others sync.WaitGroup
		for n := range crowd {
			h := hostile{c, trusting, rand.New(rand.NewPCG(uint64(n), 1))}
			others.Go(func() {
				for range rounds {
					h.act()
				}
			})
		}
		others.Wait()
		cancel()
		count := <-sent
		for i, reader := range readers {
			for n := range count {
				event := next(t, reader)
				require.Equal(t, fmt.Sprint(n), strings.Trim(string(event.Data), `"x`), "reader %d", i)
			}
		}
		c.hub.Disconnect(t.Context(), "")
		require.Eventually(t, func() bool { return c.hub.Stats().Connections == len(readers) }, 20*time.Second, 10*time.Millisecond)
	})
}

// talk broadcasts numbers, some of them long, until ctx ends, and returns how many. Now and
// then it throws out who has no login.
func (c clinic) talk(ctx context.Context, t *testing.T) (sent int) {
	for ; ctx.Err() == nil; sent++ {
		length := 1
		if sent%20 == 0 {
			length = 50_000
		}
		data := fmt.Sprint(sent) + repeat("x", length)
		if err := c.hub.Broadcast(context.Background(), "clinic-7", realtime.Event{Name: "n", Data: data}); err != nil {
			t.Error(err)
		}
		if sent%100 == 99 {
			c.hub.Disconnect(t.Context(), "")
		}
		time.Sleep(time.Millisecond)
	}
	return sent
}

// hostile is a client that breaks off. It may be thrown out at any moment, so that nothing of
// what it does is sure to succeed.
type hostile struct {
	clinic
	tls    *tls.Config
	random *rand.Rand
}

func (h hostile) act() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch h.random.IntN(5) {
	case 0: // asks for a session, and no more
		_, _ = h.ask(ctx, http.MethodGet, "", "")
	case 1: // breaks a poll off
		sid := h.open(ctx)
		_, _ = h.ask(ctx, http.MethodPost, sid, "40\x1e42[\"join-clinic\",\"7\"]")
		soon, stop := context.WithTimeout(ctx, time.Duration(h.random.IntN(20))*time.Millisecond)
		defer stop()
		for soon.Err() == nil {
			_, _ = h.ask(soon, http.MethodGet, sid, "")
		}
	case 2: // begins to upgrade
		sid := h.open(ctx)
		h.socket(ctx, "&sid="+sid, "2probe", "5", `40`, `42["join-clinic","7"]`)
	default:
		h.socket(ctx, "", "40", `42["join-clinic","7"]`, `420["join-clinic","9"]`)
	}
}

// socket says a part of texts, reads or not, and hangs up in one way or another.
func (h hostile) socket(ctx context.Context, query string, texts ...string) {
	dialer := ws.Dialer{TLSConfig: h.tls}
	conn, _, _, err := dialer.Dial(ctx, strings.Replace(h.url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket"+query)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
	for _, text := range texts[:h.random.IntN(len(texts)+1)] {
		_ = ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte(text))))
	}
	if h.random.IntN(2) == 0 {
		_, _ = io.Copy(io.Discard, conn)
	} else {
		time.Sleep(20 * time.Millisecond)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	switch tcp, isTCP := conn.(*net.TCPConn); {
	case h.random.IntN(3) == 0:
		_ = ws.WriteFrame(conn, ws.MaskFrame(ws.NewCloseFrame(nil)))
	case isTCP && h.random.IntN(2) == 0:
		_ = tcp.SetLinger(0) // an RST
	case isTCP:
		_ = tcp.CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	}
}

func (h hostile) open(ctx context.Context) (sid string) {
	opened, _ := h.ask(ctx, http.MethodGet, "", "")
	_, rest, _ := strings.Cut(opened, `"sid":"`)
	sid, _, _ = strings.Cut(rest, `"`)
	return sid
}

func (h hostile) ask(ctx context.Context, method, sid, body string) (string, error) {
	target := h.url + "/socket.io/?EIO=4&transport=polling"
	if sid != "" {
		target += "&sid=" + sid
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	transport := &http.Transport{TLSClientConfig: h.tls, DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}
