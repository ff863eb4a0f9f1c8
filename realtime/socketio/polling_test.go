package socketio_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	c := setup(t)
	opened := c.request(t, "GET", "transport=polling", "", nil)
	require.Equal(t, 200, opened.status)
	require.Equal(t, "text/plain; charset=UTF-8", opened.header.Get("Content-Type"))
	require.Equal(t, "no-store", opened.header.Get("Cache-Control"))
	require.Regexp(t, `^0\{"sid":"[A-Z2-7]{26}","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$`, opened.body)
	require.Regexp(t, `^0\{"sid":"[A-Z2-7]{26}","upgrades":\[\],`, c.dialSocket(t, "", nil).text())
}

func TestHandshakeRefused(t *testing.T) {
	t.Parallel()
	c := setup(t)
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	without := func(name, value string) http.Header {
		h := upgrade.Clone()
		h.Del(name)
		if value != "" {
			h.Set(name, value)
		}
		return h
	}
	for _, test := range []struct {
		name, method, query string
		header              http.Header
		code                int
	}{
		{"no transport", "GET", "EIO=4", nil, 0},
		{"unknown transport", "GET", "EIO=4&transport=webtransport", nil, 0},
		{"prototype as transport", "GET", "EIO=4&transport=constructor", nil, 0},
		{"unknown session", "GET", "EIO=4&transport=polling&sid=nope", nil, 1},
		{"unknown session, POST", "POST", "EIO=4&transport=polling&sid=nope", nil, 1},
		{"unknown session, WebSocket", "GET", "EIO=4&transport=websocket&sid=nope", upgrade, 1},
		{"POST as handshake", "POST", "EIO=4&transport=polling", nil, 2},
		{"PUT as handshake", "PUT", "EIO=4&transport=polling", nil, 2},
		{"DELETE of a session", "DELETE", "EIO=4&transport=polling&sid=open", nil, 3},
		{"WebSocket without upgrade", "GET", "EIO=4&transport=websocket", nil, 3},
		{"WebSocket without upgrade in a session", "GET", "EIO=4&transport=websocket&sid=open", nil, 3},
		{"no key", "GET", "EIO=4&transport=websocket", without("Sec-Websocket-Key", ""), 3},
		{"short key", "GET", "EIO=4&transport=websocket", without("Sec-Websocket-Key", "YQ=="), 3},
		{"old version", "GET", "EIO=4&transport=websocket", without("Sec-Websocket-Version", "8"), 3},
		{"other protocol", "GET", "EIO=4&transport=websocket", without("Upgrade", "h2c"), 3},
		{"no connection header", "GET", "EIO=4&transport=websocket", without("Connection", "close"), 3},
		{"revision 3", "GET", "transport=polling&EIO=3", nil, 5},
		{"no revision", "GET", "transport=polling&EIO=", nil, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			query := test.query
			if strings.Contains(query, "sid=open") {
				query = strings.Replace(query, "open", c.openPolling(t, nil).sid, 1)
			}
			got, err := c.try(within(t), test.method, query, "", test.header)
			require.NoError(t, err)
			got.refused(t, 400, test.code)
		})
	}
}

func TestPollingPackets(t *testing.T) {
	t.Parallel()
	c := setup(t)
	p := c.connectPolling(t)
	require.Equal(t, "ok", p.post(t, `420["join-clinic","7"]`+"\x1e"+`3`+"\x1e"+`6`+"\x1e"+`421["join-clinic","9"]`).body)
	p.hears(t, `430[{"ok":true}]`, `431[{"ok":false,"error":"not permitted"}]`)

	c.broadcast(t, "clinic-7", "new-appointment", "a")
	c.broadcast(t, "clinic-7", "new-appointment", "b")
	p.hears(t, `42["new-appointment","a"]`, `42["new-appointment","b"]`)

	require.Equal(t, "ok", p.post(t, `40/admin,{"token":"x"}`).body)
	require.Equal(t, `44/admin,{"message":"Invalid namespace"}`, p.get(t).body, "another namespace is refused and the session goes on")
	require.Equal(t, "ok", p.post(t, `435["an","answer","that nobody asked for"]`).body)

	require.Equal(t, "ok", p.post(t, "1").body)
	p.gone(t)
}

func TestPollingGarbage(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":                       "",
		"empty packet":                "3\x1e",
		"unknown type":                "9",
		"open":                        `0{"sid":"x"}`,
		"ping":                        "2probe",
		"upgrade":                     "5",
		"binary":                      "bAQID",
		"not UTF-8":                   "42[\"a\xff\"]",
		"empty message":               "4",
		"unknown kind":                "49",
		"connect twice":               "40",
		"connect with an array":       `40["x"]`,
		"connect with an id":          `401`,
		"connect error":               `44{"message":"x"}`,
		"event that is no array":      `42{"a":1}`,
		"event without name":          `42[]`,
		"event with a number as name": `42[1]`,
		"event with broken JSON":      `42["a"`,
		"event with more behind":      `42["a"]x`,
		"event in a namespace":        `42/admin,["a"]`,
		"id without end":              "42" + strings.Repeat("1", 400) + `["a"]`,
		"negative id":                 `42-1["a"]`,
		"ack without id":              `43["a"]`,
		"disconnect with data":        `41{}`,
		"text in a binary event":      `451-["a",{"_placeholder":true,"num":0}]` + "\x1e" + `42["b"]`,
		"too many attachments":        `459-["a"]`,
		"wrong count of attachments":  `451-["a"]` + "\x1ebAQID",
		"one attachment twice":        `451-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]` + "\x1ebAQID",
		"an attachment too many":      `451-["a",{"_placeholder":true,"num":0}]` + "\x1ebAQID\x1ebAQID",
		"an attachment of none":       `451-["a",{"_placeholder":true,"num":1}]` + "\x1ebAQID",
		"binary ack of another count": `461-0["a"]` + "\x1ebAQID",
		"binary event without count":  `45["a"]`,
		"long namespace":              "40/" + strings.Repeat("x", 500),
		"deep JSON":                   "42" + strings.Repeat("[", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := setup(t).connectPolling(t)
			p.post(t, body).refused(t, 400, 3)
			p.gone(t)
		})
	}

	t.Run("event before connect", func(t *testing.T) {
		t.Parallel()
		p := setup(t).openPolling(t, nil)
		p.post(t, `420["join-clinic","7"]`).refused(t, 400, 3)
		p.gone(t)
	})
	t.Run("octets", func(t *testing.T) {
		t.Parallel()
		p := setup(t).connectPolling(t)
		p.header = http.Header{"Content-Type": {"application/octet-stream"}}
		p.post(t, "3").refused(t, 400, 3)
	})
	t.Run("packets behind a close are not handled", func(t *testing.T) {
		t.Parallel()
		p := setup(t).connectPolling(t)
		require.Equal(t, "ok", p.post(t, "1\x1e"+`420["join-clinic","7"]`).body)
		require.Zero(t, p.hub.Stats().Rooms)
		p.gone(t)
	})
}

func TestPollingTooLarge(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) { wire.MaxPayload = 100 })
	p := c.connectPolling(t)
	p.post(t, `420["x","`+strings.Repeat("x", 100)+`"]`).refused(t, 413, 3)
	exact := `420["x","` + strings.Repeat("x", 100-len(`420["x",""]`)) + `"]`
	require.Equal(t, "ok", p.post(t, exact).body, "the session goes on, and the limit itself is allowed")
	require.Contains(t, p.get(t).body, "unknown event")
}

// A megabyte of small packets is not worth the work.
func TestPollingTooManyPackets(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
		rooms.Authorize = func(context.Context, realtime.Client, string) error {
			asked.Add(1)
			return nil
		}
	})
	p := c.connectPolling(t)
	joins := func(n int) string {
		return strings.TrimSuffix(strings.Repeat(`42["join-clinic","7"]`+"\x1e", n), "\x1e")
	}
	require.Equal(t, "ok", p.post(t, joins(4096)).body)
	require.Eventually(t, func() bool { return asked.Load() == 1 }, 5*time.Second, time.Millisecond)
	p.post(t, strings.Replace(joins(4097), "7", "70", 1)).refused(t, 400, 3)
	require.EqualValues(t, 1, asked.Load(), "not one of them is handled")
	p.gone(t)
}

// A client that hangs up while its POST waits for the application takes with it what is being
// done, and all that was to follow.
func TestPostThatGoesAway(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	inside := make(chan struct{}, 10)
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) {
		rooms.Authorize = func(ctx context.Context, _ realtime.Client, _ string) error {
			asked.Add(1)
			inside <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
	})
	p := c.connectPolling(t)
	body := strings.TrimSuffix(strings.Repeat(`42["join-clinic","1"]`+"\x1e", 100), "\x1e")
	conn := c.sendRaw(t, "POST /socket.io/?EIO=4&"+p.query()+" HTTP/1.1\r\nHost: x\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
	<-inside
	require.NoError(t, conn.Close())
	p.gone(t)
	require.EqualValues(t, 1, asked.Load())
}

// A POST that is cut in the middle ends the session: nobody knows what was in it, and the client
// does not go on.
func TestPostThatIsCut(t *testing.T) {
	t.Parallel()
	c := setup(t)
	p := c.connectPolling(t)
	require.Equal(t, "ok", p.post(t, `420["join-clinic","7"]`).body)
	p.get(t)
	conn := c.sendRaw(t, "POST /socket.io/?EIO=4&"+p.query()+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n420[")
	require.Eventually(t, func() bool { return c.polls.posts.Load() == 3 }, 20*time.Second, time.Millisecond)
	require.NoError(t, conn.Close())
	p.gone(t)
	require.Zero(t, c.hub.Stats().Rooms)
}

func TestConcurrentPolls(t *testing.T) {
	t.Parallel()
	p := setup(t).connectPolling(t)
	first := p.getInBackground(t)
	answers := []answer{p.get(t), <-first}
	if answers[0].status == 200 { // ours overtook the other one
		slices.Reverse(answers)
	}
	answers[0].refused(t, 400, 3)
	require.Equal(t, 200, answers[1].status)
	require.Equal(t, "1", answers[1].body, "the poll that waited hears that the session is closed")
	p.gone(t)
}

// flushHook calls after when an answer has been handed over.
type flushHook struct {
	*httptest.ResponseRecorder
	after func()
}

func (f flushHook) Flush() {
	f.ResponseRecorder.Flush()
	f.after()
}

// A client that has its answer polls again at once, before the server is back
// from writing it. That is no overlap.
func TestQuickPolls(t *testing.T) {
	t.Parallel()
	hub, err := realtime.NewHub(realtime.Config{})
	require.NoError(t, err)
	sio, err := socketio.New(socketio.Config{Hub: hub})
	require.NoError(t, err)
	sid := ""
	serve := func(method, body string, after func()) string {
		w := flushHook{httptest.NewRecorder(), after}
		sio.ServeHTTP(w, httptest.NewRequest(method, "/socket.io/?EIO=4&transport=polling"+sid, strings.NewReader(body)))
		return w.Body.String()
	}
	nothing := func() {}
	sid = "&sid=" + strings.Split(serve("GET", "", nothing), `"`)[3]
	require.Equal(t, "ok", serve("POST", "40", nothing))
	var second string
	first := serve("GET", "", func() {
		require.Equal(t, "ok", serve("POST", `427["x"]`, nothing))
		second = serve("GET", "", nothing)
	})
	require.Contains(t, first, `40{"sid":`)
	require.Equal(t, `437[{"ok":false,"error":"unknown event"}]`, second)
	require.NoError(t, hub.Shutdown(t.Context()))
}

func TestConcurrentPosts(t *testing.T) {
	t.Parallel()
	c := setup(t)
	p := c.connectPolling(t)
	c.sendRaw(t, "POST /socket.io/?EIO=4&"+p.query()+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n420[")
	require.Eventually(t, func() bool { return c.polls.posts.Load() == 2 }, 5*time.Second, time.Millisecond)
	p.post(t, "3").refused(t, 400, 3)
	p.gone(t)
}

// A poll that the client breaks off ends the session: browsers do so when the page is left.
func TestPollThatGoesAway(t *testing.T) {
	t.Parallel()
	c := setup(t)
	p := c.connectPolling(t)
	require.Equal(t, "ok", p.post(t, `420["join-clinic","7"]`).body)
	require.Equal(t, `430[{"ok":true}]`, p.get(t).body)

	before := c.polls.begun.Load()
	conn := c.sendRaw(t, "GET /socket.io/?EIO=4&"+p.query()+" HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Eventually(t, func() bool { return c.polls.begun.Load() > before }, 5*time.Second, time.Millisecond)
	require.NoError(t, conn.Close())
	p.gone(t)
	require.Zero(t, c.hub.Stats().Rooms)
}

func TestSessionBelongsToItsSubject(t *testing.T) {
	t.Parallel()
	c := setup(t)
	p := c.openPolling(t, cookie("ada"))
	require.Equal(t, "ok", p.post(t, "40").body)

	stolen := p
	stolen.header = cookie("bob")
	stolen.get(t).refused(t, 400, 1)
	stolen.post(t, "41").refused(t, 400, 1)
	stolen.header = nil
	stolen.get(t).refused(t, 400, 1)
	stolen.header = cookie("mallory")
	stolen.get(t).refused(t, 400, 1)

	require.Contains(t, p.get(t).body, `40{"sid":`, "ada's session goes on")
}

func TestFullHub(t *testing.T) {
	t.Parallel()
	c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) { rooms.MaxConnections = 1 })
	first := c.dial(t, realtimetest.Options{})
	c.request(t, "GET", "transport=polling", "", nil).refused(t, 503, 3)
	for _, transport := range transports {
		_, err := realtimetest.Dial(within(t), c.url, realtimetest.Options{Transport: transport})
		require.ErrorContains(t, err, "503")
	}
	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 5*time.Second, time.Millisecond)
	c.dial(t, realtimetest.Options{Transport: realtimetest.Polling})
}
