package realtime_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// offsets is an encoder whose messages are "name data@offset".
type offsets struct{}

func (offsets) Encode(m realtime.Message) []byte {
	text := []string{m.Name}
	for _, arg := range m.JSON() {
		text = append(text, string(arg))
	}
	return []byte(strings.Join(text, " ") + "@" + m.Offset)
}

// fragile is a MemoryJournal that fails when it is told to.
type fragile struct {
	realtime.MemoryJournal
	mu     sync.Mutex
	reads  int           // calls of Since
	fail   error         // of Append, At and Head
	hold   chan struct{} // if not nil, Follow delivers nothing until it is closed
	broken chan struct{} // Follow ends with ErrGap when it is closed; nil until somebody follows
}

func (j *fragile) failing() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fail
}

func (j *fragile) setFail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = err
}

func (j *fragile) holdBack() (release func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	hold := make(chan struct{})
	j.hold = hold
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.hold = nil
		close(hold)
	}
}

func (j *fragile) Append(ctx context.Context, e realtime.Entry) (realtime.Position, error) {
	if err := j.failing(); err != nil {
		return "", err
	}
	return j.MemoryJournal.Append(ctx, e)
}

func (j *fragile) At(ctx context.Context, t time.Time) (realtime.Position, error) {
	if err := j.failing(); err != nil {
		return "", err
	}
	return j.MemoryJournal.At(ctx, t)
}

func (j *fragile) Since(ctx context.Context, from realtime.Position, rooms []string, limit int) (realtime.Page, error) {
	j.mu.Lock()
	j.reads++
	j.mu.Unlock()
	return j.MemoryJournal.Since(ctx, from, rooms, limit)
}

func (j *fragile) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	j.mu.Lock()
	j.broken = make(chan struct{})
	broken := j.broken
	j.mu.Unlock()
	go func() {
		select {
		case <-broken:
			cancel()
		case <-running.Done():
		}
	}()
	err := j.MemoryJournal.Follow(running, from, func(e realtime.Entry) {
		j.mu.Lock()
		hold := j.hold
		j.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-running.Done():
				return
			}
		}
		deliver(e)
	})
	if ctx.Err() == nil && running.Err() != nil {
		return fmt.Errorf("fragile: %w", realtime.ErrGap)
	}
	return err
}

func (j *fragile) breakOff() {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.broken)
}

var recoveryKey = bytes.Repeat([]byte{7}, 32)

// processOf returns the hub of one more process of a journal.
func processOf(t *testing.T, journal realtime.Journal, change ...func(*realtime.Config)) *realtime.Hub {
	t.Helper()
	cfg := realtime.Config{Journal: journal, Authorize: anybody, RecoveryKeys: [][]byte{recoveryKey}}
	for _, apply := range change {
		apply(&cfg)
	}
	return newHub(t, cfg)
}

// guest is a client on one connection. What it brings back is only what it was given.
type guest struct {
	*wire
	conn *realtime.Conn
	pid  string
	back bool // recovered
	// granted are the rooms that the application puts it into.
	granted []string
}

func visit(t *testing.T, hub *realtime.Hub, subject string, rooms ...string) *guest {
	t.Helper()
	g := comeBack(t, hub, subject, realtime.Return{})
	for _, room := range rooms {
		require.NoError(t, g.conn.Join(t.Context(), room))
	}
	synctest.Wait()
	return g
}

func comeBack(t *testing.T, hub *realtime.Hub, subject string, back realtime.Return, granted ...string) *guest {
	t.Helper()
	g := &guest{wire: &wire{}, granted: granted}
	conn, err := hub.Connect(t.Context(), subject, offsets{}, g.wire)
	require.NoError(t, err)
	g.conn = conn
	g.back, err = conn.Enter(t.Context(), back, granted, func(pid string) []byte {
		g.pid = pid
		return []byte("welcome@")
	})
	require.NoError(t, err)
	synctest.Wait()
	return g
}

// again returns g as it is after its connection broke.
func (g *guest) again(t *testing.T, hub *realtime.Hub) *guest {
	t.Helper()
	g.conn.Close(nil)
	return comeBack(t, hub, g.conn.Client().Subject, realtime.Return{PID: g.pid, Offset: g.offset()}, g.granted...)
}

// offset is that of the last event.
func (g *guest) offset() (last string) {
	for _, message := range g.heard() {
		if _, offset, _ := strings.Cut(message, "@"); offset != "" {
			last = offset
		}
	}
	return last
}

// events are those that a page listens to, and "welcome" where it is behind the first ones.
func (g *guest) events() []string {
	events := []string{}
	for i, message := range g.heard() {
		name, _, _ := strings.Cut(message, "@")
		if name != "telemed:at" && (name != "welcome" || i > 0) {
			events = append(events, name)
		}
	}
	return events
}

func put(t *testing.T, journal realtime.Journal, entries ...realtime.Entry) {
	t.Helper()
	for _, e := range entries {
		if e.Kind == "" {
			e.Kind = realtime.KindEvent
		}
		_, err := journal.Append(t.Context(), e)
		require.NoError(t, err)
	}
	synctest.Wait()
}

// to is an event for rooms.
func to(name string, rooms ...string) realtime.Entry { return realtime.Entry{Name: name, Rooms: rooms} }
