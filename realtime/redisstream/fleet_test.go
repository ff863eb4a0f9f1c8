package redisstream_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/redisstream"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// serveEnv makes this binary a process that serves pages until its standard input ends.
const serveEnv = "REDISSTREAM_TEST_SERVE"

func hubOf(client *redis.Client) (*realtime.Hub, *redisstream.Client, error) {
	journal, err := redisstream.New(redisstream.Config{Client: client, InsecureClear: true})
	if err != nil {
		return nil, nil, err
	}
	hub, err := realtime.NewHub(realtime.Config{
		Journal:      journal,
		Presence:     true,
		RecoveryKeys: [][]byte{bytes.Repeat([]byte{7}, 32)},
		Authorize:    func(context.Context, realtime.Client, string) error { return nil },
	})
	return hub, journal, err
}

func serve() {
	hub, _, err := hubOf(redis.NewClient(&redis.Options{Network: "unix", Addr: os.Getenv(serveEnv)}))
	if err != nil {
		panic(err)
	}
	sio, err := socketio.New(socketio.Config{Hub: hub})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + listener.Addr().String())
	server := &http.Server{Handler: sio, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// process is a server that can be killed, and started anew at another address.
type process struct {
	t      *testing.T
	socket string
	mu     sync.Mutex
	cmd    *exec.Cmd
	url    string
}

func (p *process) start() {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), serveEnv+"="+p.socket)
	_, err := cmd.StdinPipe() // it ends with this process
	require.NoError(p.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, cmd.Start())
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.url = cmd, strings.TrimSpace(url)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *process) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url
}

// Servers are killed under numbered broadcasts, which come from a process that has no pages.
// Pages come back to whichever server is there: nothing is lost, and nothing comes twice.
func TestRecoverAfterKill9(t *testing.T) {
	t.Parallel()
	const kills, last = 8, 400
	s := startServer(t)
	servers := []*process{{t: t, socket: s.socket}, {t: t, socket: s.socket}}
	for _, server := range servers {
		server.start()
		t.Cleanup(server.kill)
	}
	hub, journal, err := hubOf(s.client)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, hub.Shutdown(context.Background()))
		require.NoError(t, journal.Shutdown(context.Background()))
	})

	var here, running sync.WaitGroup
	var sent, back atomic.Int64
	for n := range 10 {
		p := &visitor{t: t, servers: servers, at: n, back: &back, transport: []realtimetest.Transport{realtimetest.WebSocket, realtimetest.Polling}[n/2%2]}
		here.Add(1)
		running.Go(func() { p.stay(here.Done, last) })
	}
	here.Wait()
	running.Go(func() {
		for n := range last {
			event := realtime.Event{Name: "number", Data: n + 1}
			if err := hub.Broadcast(context.Background(), "clinic-7", event); err != nil {
				t.Error(err)
			}
			sent.Add(1)
			time.Sleep(time.Millisecond)
		}
	})
	for kill := range kills {
		require.Eventually(t, func() bool { return int(sent.Load()) >= (kill+1)*last/(kills+2) }, time.Minute, time.Millisecond)
		servers[kill%2].kill()
		servers[kill%2].start()
	}
	running.Wait()
	require.GreaterOrEqual(t, back.Load(), int64(kills*5), "half of the pages each time")
}

// visitor is a page that joins once.
type visitor struct {
	t         *testing.T
	servers   []*process
	at        int // of the servers, in turn
	transport realtimetest.Transport
	client    *realtimetest.Client
	back      *atomic.Int64
	seen      int
}

// stay returns when the page has got all numbers up to last. joined is called once.
func (v *visitor) stay(joined func(), last int) {
	ctx, cancel := context.WithTimeout(v.t.Context(), 2*time.Minute)
	defer cancel()
	joined = sync.OnceFunc(joined)
	defer joined()
	for joins := true; v.seen < last && ctx.Err() == nil && !v.t.Failed(); v.at++ {
		client, err := realtimetest.Dial(ctx, v.servers[v.at%len(v.servers)].address(), realtimetest.Options{
			Transport: v.transport, Recover: v.client,
		})
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		switch {
		case joins:
			if _, err := client.EmitAck(ctx, "join-clinic", 7); err != nil {
				v.t.Error(err)
			}
			joined()
			joins = false
		case !client.Recovered():
			v.t.Error("not recovered")
		default:
			v.back.Add(1)
		}
		v.client = client
		v.listen(ctx, last)
		_ = client.Close()
	}
	if v.seen < last {
		v.t.Errorf("the last is %d", v.seen)
	}
}

func (v *visitor) listen(ctx context.Context, last int) {
	for v.seen < last {
		event, err := v.client.Next(ctx)
		if err != nil {
			return
		}
		var got int
		if err := json.Unmarshal(event.Data, &got); err != nil || got != v.seen+1 {
			v.t.Errorf("%s came instead of %d", event.Data, v.seen+1)
			return
		}
		v.seen = got
	}
}
