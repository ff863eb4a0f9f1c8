package redisstream_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/redisstream"
)

// node is a server of Node with @socket.io/redis-streams-adapter, and its clients.
type node struct {
	testing.TB
	in    io.Writer
	lines chan line
}

// line is what a client got.
type line struct {
	Who, Name string
	Args      json.RawMessage
}

func startNode(t testing.TB, socket string) *node {
	t.Helper()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: where socket.io and @socket.io/redis-streams-adapter of npm are")
	}
	cmd := exec.Command("node", filepath.Join("testdata", "node.cjs"), socket)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	n := &node{TB: t, in: in, lines: make(chan line, 10_000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var l line
			if json.Unmarshal(lines.Bytes(), &l) == nil {
				n.lines <- l
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	n.want("server", "ready", `[]`)
	return n
}

func (n *node) next() line {
	n.Helper()
	select {
	case l := <-n.lines:
		return l
	case <-time.After(30 * time.Second):
		require.FailNow(n, "Node's clients get nothing")
	}
	return line{}
}

// want is what the next line must be.
func (n *node) want(who, name, args string) {
	n.Helper()
	got := n.next()
	require.Equal(n, who+" "+name, got.Who+" "+got.Name, "%s", got.Args)
	require.JSONEq(n, args, string(got.Args))
}

func (n *node) do(format string, args ...any) {
	n.Helper()
	_, err := fmt.Fprintf(n.in, format+"\n", args...)
	require.NoError(n, err)
}

// meet waits until Node reads the stream: it begins at its end, whenever that is.
func (n *node) meet(j realtime.Journal) {
	n.Helper()
	for i := 0; ; i++ {
		put(n, j, "probe")
		select {
		case l := <-n.lines:
			require.Equal(n, "probe", l.Name)
			put(n, j, "met")
			for l.Name != "met" {
				l = n.next()
			}
			return
		case <-time.After(100 * time.Millisecond):
			require.Less(n, i, 300, "Node does not read the stream")
		}
	}
}

// What we append reaches Node's clients.
func TestNodeReadsOurs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(nil)
	n := startNode(t, s.socket)
	n.meet(j)
	send := func(e realtime.Entry) {
		t.Helper()
		_, err := j.Append(t.Context(), e)
		require.NoError(t, err)
	}
	tell := func(name string, rooms, except []string, args ...string) realtime.Entry {
		return realtime.Entry{Kind: realtime.KindEvent, Name: name, Rooms: rooms, Except: except, Args: raws(args...)}
	}
	send(tell("two rooms once", []string{"clinic-7", "clinic-8"}, nil, `{"name":"आशा <&> \u2028"}`, `2`, `null`))
	n.want("desk", "two rooms once", `[{"name":"आशा <&> \u2028"},2,null]`)
	send(tell("not for the desk", nil, []string{"clinic-8"}))
	n.want("other", "not for the desk", `[]`)
	binary := tell("binary", []string{"clinic-9"}, nil, `{"size":2.5,"file":{"_placeholder":true,"num":0}}`, `[{"_placeholder":true,"num":1}]`, `-7`)
	binary.Attachments = [][]byte{{0, 255}, {}}
	send(binary)
	n.want("other", "binary", `[{"size":2.5,"file":{"hex":"00ff"}},[{"hex":""}],-7]`)
	quick := tell("volatile", []string{"clinic-9"}, nil)
	quick.Volatile = true
	send(quick)
	n.want("other", "volatile", `[]`)

	send(realtime.Entry{Kind: realtime.KindJoin, Rooms: []string{"clinic-9"}, Moved: []string{"ward"}})
	send(tell("in the ward", []string{"ward"}, nil))
	n.want("other", "in the ward", `[]`)
	send(realtime.Entry{Kind: realtime.KindLeave, Rooms: []string{"clinic-9"}, Moved: []string{"ward"}})
	send(tell("nobody is in the ward", []string{"ward"}, nil))
	// Who has come back to one of our processes is told so; Node ends nobody for it.
	send(realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"user-#pid:X"}, Except: []string{"user-#pid:Y"}})
	send(tell("before the kick", []string{"clinic-7"}, nil))
	send(realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"user-7"}})
	send(tell("after the kick", nil, nil))
	n.want("desk", "before the kick", `[]`)
	got := map[string]bool{}
	for range 2 {
		l := n.next()
		got[l.Who+" "+l.Name] = true
	}
	require.Equal(t, map[string]bool{"desk disconnect": true, "other after the kick": true}, got)
}

// What Node sends reaches Follow, and Since.
func TestWeReadNodes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	j := s.open(func(cfg *redisstream.Config) { cfg.MaxEntry = 1 << 20 })
	start := head(t, j)
	n := startNode(t, s.socket)
	f := follow(t, j, start)
	n.do(`{"do":"emit","args":["everybody",{"name":"आशा"},2,null,"last"]}`)
	n.do(`{"do":"emit","rooms":["clinic-7","clinic-8"],"except":["user-9"],"args":["rooms"]}`)
	n.do(`{"do":"emit","rooms":["clinic-7"],"args":["binary",{"file":{"hex":"00ff"},"n":-1.5,"big":1764000000000,"t":true},{"hex":""},"x"]}`)
	n.do(`{"do":"emit","rooms":["clinic-7"],"volatile":true,"args":["volatile"]}`)
	n.do(`{"do":"join","rooms":["clinic-7"],"moved":["ward"]}`)
	n.do(`{"do":"leave","rooms":["clinic-7"],"moved":["ward"]}`)
	n.do(`{"do":"kick","rooms":["user-7"]}`)
	rooms := []string{"clinic-7"}
	want := []realtime.Entry{
		{Kind: realtime.KindEvent, Name: "everybody", Args: raws(`{"name":"आशा"}`, `2`, `null`, `"last"`)},
		{Kind: realtime.KindEvent, Name: "rooms", Rooms: []string{"clinic-7", "clinic-8"}, Except: []string{"user-9"}},
		{
			Kind: realtime.KindEvent, Name: "binary", Rooms: rooms, Attachments: [][]byte{{0, 255}, {}},
			Args: raws(`{"file":{"_placeholder":true,"num":0},"n":-1.5,"big":1764000000000,"t":true}`, `{"_placeholder":true,"num":1}`, `"x"`),
		},
		{Kind: realtime.KindEvent, Name: "volatile", Rooms: rooms, Volatile: true},
		{Kind: realtime.KindJoin, Rooms: rooms, Moved: []string{"ward"}},
		{Kind: realtime.KindLeave, Rooms: rooms, Moved: []string{"ward"}},
		{Kind: realtime.KindKick, Rooms: []string{"user-7"}},
	}
	var got []realtime.Entry
	for range want {
		got = append(got, f.next())
	}
	page, err := j.Since(t.Context(), start, nil, 100)
	require.NoError(t, err)
	require.Equal(t, got, page.Entries)
	for i := range want {
		require.NotEmpty(t, got[i].Position)
		require.WithinDuration(t, time.Now(), got[i].At, time.Minute)
		require.Equal(t, spelled(want[i]), spelled(got[i]))
	}
	require.Zero(t, j.Stats().Unread)
}

// spelled is all of an entry but where and when it is, nil for what is empty.
func spelled(e realtime.Entry) string {
	var args []string
	for _, arg := range e.Args {
		args = append(args, string(arg))
	}
	return fmt.Sprint(e.Kind, " ", e.Name, e.Rooms, e.Except, e.Moved, e.Volatile, e.Attachments, args)
}
