//go:build !race

package wordstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// packets are what a client may send, with WORD where it chooses.
var packets = []string{
	"WORD", "4WORD", "42WORD", `42["WORD"]`, `42["WORD","WORD"]`, `427["join-clinic","WORD"]`, `427["join-clinic",{"WORD":1}]`,
	`427["leave-clinic","WORD"]`, `427["ask","WORD"]`, `427["fail","WORD"]`, `42["WORD`, `42/WORD,["WORD"]`, "40/WORD,", `40{"token":"WORD"}`,
	"41/WORD,", `43WORD["WORD"]`, `451-["WORD"]`, "bWORD", "1WORD", "2WORD", "3WORD", "5WORD", "6WORD", "7WORD", "\xffWORD", "",
}

// words of the application's, which no client and no log may hear.
var errOfTheApplication = errors.New("no such patient: Asha Verma, of canary")

// room is a server in which nobody may do anything.
func room(t *testing.T) (url string, log *lines) {
	t.Helper()
	log = &lines{}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	hub, err := realtime.NewHub(realtime.Config{
		Authorize: func(context.Context, realtime.Client, string) error { return errOfTheApplication },
		Authenticate: func(r *http.Request) (string, error) {
			if r.Header.Get("Cookie") == "" {
				return "", nil
			}
			return "", errOfTheApplication
		},
		Logger: logger,
	})
	require.NoError(t, err)
	server, err := socketio.New(socketio.Config{
		Hub: hub, Logger: logger,
		OnEvent: func(_ context.Context, _ *socketio.Socket, name string, _ socketio.Args) (any, error) {
			if name == "ask" {
				return map[string]any{"ok": true}, nil
			}
			return nil, errOfTheApplication
		},
	})
	require.NoError(t, err)
	listening := httptest.NewServer(server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, hub.Shutdown(ctx))
		listening.Close()
	})
	return listening.URL + "/socket.io/?EIO=4&transport=", log
}

// lines is a log of several goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// What a client of Socket.IO sends, in packets, headers and addresses, reaches no log. What
// it hears holds no word of the application's errors.
func TestNoWordOfASocketComesBack(t *testing.T) {
	t.Parallel()
	found := leaks{}
	for _, word := range words {
		base, log := room(t)
		for _, packet := range packets {
			packet, answer := strings.ReplaceAll(packet, "WORD", word), fmt.Sprintf("%q", packet)
			require.NoError(t, overWebSocket(t.Context(), base, packet))
			heard := overPolling(t, base, packet)
			require.NotContains(t, heard, "no such patient", answer)
		}
		hostileRequests(t, base, word)
		require.Contains(t, log.String(), "connection ended", "the log speaks of it")
		found.lookAt("log of Socket.IO", word, log.String())
	}
	found.report(t)
}

// overWebSocket connects, sends one packet and waits for the end or for an answer.
func overWebSocket(ctx context.Context, base, packet string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, buffered, _, err := ws.Dial(ctx, strings.Replace(base, "http", "ws", 1)+"websocket")
	if err != nil {
		return err
	}
	defer conn.Close()
	from := io.Reader(conn)
	if buffered != nil {
		from = io.MultiReader(io.LimitReader(buffered, int64(buffered.Buffered())), conn)
	}
	for _, text := range []string{"40", packet, `427["ask"]`, "1"} {
		if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
			return nil // it was ended for the packet
		}
	}
	_, _ = io.Copy(io.Discard, from) // the server ends it
	return nil
}

// overPolling does the same, and returns what the client was told.
func overPolling(t *testing.T, base, packet string) string {
	t.Helper()
	opened := ask(t, http.MethodGet, base+"polling", "", nil)
	var session struct{ SID string }
	require.NoError(t, json.Unmarshal([]byte(opened[1:]), &session))
	target := base + "polling&sid=" + session.SID
	heard := ask(t, http.MethodPost, target, "40", nil) + ask(t, http.MethodPost, target, packet, nil)
	heard += ask(t, http.MethodGet, target, "", nil) + ask(t, http.MethodPost, target, "1", nil)
	return heard
}

// hostileRequests have the word where a browser writes something of its own.
func hostileRequests(t *testing.T, base, word string) {
	t.Helper()
	for _, name := range []string{"Origin", "Cookie", "User-Agent", "Referer", "Sec-Fetch-Site", "Upgrade", "X-Forwarded-For"} {
		ask(t, http.MethodGet, base+"polling", "", http.Header{name: {word}})
	}
	ask(t, http.MethodGet, base+"canary", "", nil)
	ask(t, http.MethodGet, base+"polling&sid=canary-asha", "", nil)
	ask(t, http.MethodPost, base+"polling&sid=canary-asha", word, nil)
	ask(t, "CANARY", base+"polling", word, nil)
	ask(t, http.MethodGet, base+"polling", "", http.Header{"Host": {"canary.asha.example"}})
}

func ask(t *testing.T, method, target, body string, header http.Header) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	require.NoError(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	r.Host = header.Get("Host")
	answer, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}
