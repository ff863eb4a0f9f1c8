package realtime_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// late is a journal that tells nobody where it is while it is shut, and begins so.
type late struct {
	*fragile
	mu   sync.Mutex
	open chan struct{}
}

func newLate() *late { return &late{fragile: &fragile{}, open: make(chan struct{})} }

// shut lets nobody know until release.
func (j *late) shut() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open = make(chan struct{})
}

func (j *late) wait(ctx context.Context) error {
	j.mu.Lock()
	open := j.open
	j.mu.Unlock()
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *late) At(ctx context.Context, t time.Time) (realtime.Position, error) {
	if err := j.wait(ctx); err != nil {
		return "", err
	}
	return j.fragile.At(ctx, t)
}

func (j *late) Head(ctx context.Context) (realtime.Position, error) {
	if err := j.wait(ctx); err != nil {
		return "", err
	}
	return j.fragile.Head(ctx)
}

func (j *late) release() {
	close(j.open)
	time.Sleep(maxPause)
	synctest.Wait()
}

// maxPause is how long a hub may wait before it asks its journal again, and more.
const maxPause = 10 * time.Second

// connected is a connection of a process that does not know its journal yet.
func connected(t *testing.T, hub *realtime.Hub, subject string) *realtime.Conn {
	t.Helper()
	conn, err := hub.Connect(t.Context(), subject, offsets{}, &wire{})
	require.NoError(t, err)
	synctest.Wait()
	return conn
}

// elsewhere is what Hub.Disconnect appends in another process.
func elsewhere(subject string) realtime.Entry {
	return realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"user-" + subject}}
}

// A kick of another process reaches who has connected before this one has read its journal:
// the connection ends, and its client is authenticated again.
func TestKickBeforeTheJournalIsRead(t *testing.T) {
	t.Parallel()
	sentHome := func(t *testing.T, conn *realtime.Conn) {
		t.Helper()
		require.ErrorIs(t, context.Cause(conn.Context()), telemed.ErrUnavailable)
	}
	for name, test := range map[string]func(*testing.T, *realtime.Hub, *late){
		"in the window": func(t *testing.T, hub *realtime.Hub, j *late) {
			ada, bob := connected(t, hub, "ada"), connected(t, hub, "bob")
			put(t, j, elsewhere("ada"))
			j.release()
			sentHome(t, ada)
			require.NoError(t, bob.Context().Err())
			require.NoError(t, connected(t, hub, "ada").Context().Err(), "she came back")
		},
		"before the window": func(t *testing.T, hub *realtime.Hub, j *late) {
			ada := connected(t, hub, "ada")
			put(t, j, elsewhere("ada"))
			time.Sleep(2 * time.Minute)
			j.release()
			sentHome(t, ada)
		},
		"after a gap": func(t *testing.T, hub *realtime.Hub, j *late) {
			first := connected(t, hub, "ada")
			j.release()
			require.NoError(t, first.Context().Err())
			j.shut()
			j.breakOff()
			synctest.Wait()
			require.ErrorIs(t, context.Cause(first.Context()), realtime.ErrGap)
			ada := connected(t, hub, "ada")
			put(t, j, elsewhere("ada"))
			j.release()
			sentHome(t, ada)
			require.NoError(t, connected(t, hub, "ada").Context().Err())
		},
		"while a token is looked at": func(t *testing.T, hub *realtime.Hub, j *late) {
			conn := connected(t, hub, "")
			err := conn.Identify(as("ada", func() {
				put(t, j, elsewhere("ada"))
				j.release()
			}))
			require.ErrorIs(t, err, telemed.ErrClosed)
			sentHome(t, conn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				journal := newLate()
				test(t, processOf(t, journal), journal)
			})
		})
	}
}
