package visit_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// keyed makes one meeting a Key, by the lock of the real providers.
type keyed struct {
	*meettest.Provider
	records meetkey.Records
	calls   int
	// inside, if it is there, is called by a Create that has the lock.
	inside func()
}

// told is what the real providers say to who has no time to wait.
type told struct{ error }

func (t told) Unwrap() error           { return t.error }
func (told) RetryDelay() time.Duration { return meetkey.AskAgain }

// Create implements meet.MeetingProvider.
func (k *keyed) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	k.calls++
	entry, err := k.records.Open(ctx, req.Key)
	if err != nil {
		return nil, told{err}
	}
	defer entry.Close(ctx)
	if k.inside != nil {
		k.inside()
	}
	return k.Provider.Create(ctx, doctorID, req)
}

func free(id string) visit.Request {
	r := request(id)
	r.Price = payments.Money{}
	return r
}

// linked waits for the link, and returns how long.
func (c *clinic) linked() time.Duration {
	c.Helper()
	begin := time.Now()
	for c.is(theVisit, visit.StatusBooked).JoinURL == "" {
		require.Less(c, time.Since(begin), time.Hour)
		time.Sleep(time.Second)
	}
	return time.Since(begin)
}

// gone is the Store of a process that is killed: nothing of it is written any more.
type gone struct {
	*durable.Memory
	killed chan struct{}
}

func (g gone) Put(ctx context.Context, item durable.Item) (string, error) {
	select {
	case <-g.killed:
		return "", telemed.ErrUnavailable
	default:
		return g.Memory.Put(ctx, item)
	}
}

// TestKilledInCreate kills a process in Create. Whoever takes the visit over makes the
// meeting then, and is not told to wait.
func TestKilledInCreate(t *testing.T) {
	var provider *keyed
	var rows durable.Store
	story(t, func(cfg *visit.Config) {
		if provider != nil {
			cfg.Meetings["google"], cfg.Store = provider, rows
		}
	}, func(c *clinic) {
		c.stop()
		killed, buried := make(chan struct{}), make(chan struct{})
		records := meetkey.NewRecords("test:", store.NewMemory(), nil)
		dead := &keyed{Provider: c.google, records: records, inside: func() { close(killed); <-buried }}
		provider, rows = dead, gone{c.rows, killed}
		c.start()
		bury := c.stop
		require.NoError(c, c.Book(c.Context(), free(theVisit)))
		<-killed

		provider, rows = &keyed{Provider: c.google, records: records}, c.rows
		c.start()
		took := c.linked()
		require.Equal(c, 1, provider.calls)
		require.Less(c, took, 80*time.Second, "some two leases of the row")
		close(buried)
		bury()
		require.Len(c, c.meetings(), 1)
	})
}

// TestToldToWait has an application die in a Create of its own, with all the time in the
// world. The visit asks again and again until it may, and has not failed meanwhile.
func TestToldToWait(t *testing.T) {
	provider := &keyed{}
	story(t, func(cfg *visit.Config) {
		provider.Provider, _ = cfg.Meetings["google"].(*meettest.Provider)
		cfg.Meetings["google"], cfg.Grace = provider, time.Second
	}, func(c *clinic) {
		provider.records = meetkey.NewRecords("test:", store.NewMemory(), nil)
		_, err := provider.records.Open(c.Context(), theVisit) // and never closed
		require.NoError(c, err)
		provider.inside = func() {
			provider.FailNext(meettest.OpCreate, telemed.ErrUnavailable)
			provider.inside = nil
		}
		require.NoError(c, c.Book(c.Context(), free(theVisit)))
		took := c.linked()
		require.Greater(c, provider.calls, 10)
		require.Greater(c, took, time.Minute+24*time.Second)
		require.Less(c, took, time.Minute+36*time.Second+10*time.Second, "one failure is rested after, and it is the first")
		require.Len(c, c.meetings(), 1)
		require.Empty(c, c.stuck)
		require.ErrorIs(c, fault.UnderWay, telemed.ErrUnavailable)
	})
}
