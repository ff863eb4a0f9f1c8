package mongostore_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
)

var doctor = store.AccountID{Provider: "zoom", Subject: "doctor-1"}

// TestNothingLostNothingDoubled counts under faults. Each worker keeps a count of its
// own in the record, so that it can see whether a write with an unknown outcome has
// landed, as a caller does who looks at the token's lineage.
func TestNothingLostNothingDoubled(t *testing.T) {
	t.Parallel()
	const workers, increments = 8, 200
	srv := start(t)
	// Four processes with two workers each: the driver pauses its whole process after a
	// failure.
	var processes []store.TokenStore
	for range 4 {
		processes = append(processes, open(t, srv.URI()))
	}
	_, err := processes[0].Put(t.Context(), store.Record{ID: doctor, Status: store.StatusActive})
	require.NoError(t, err)
	srv.SetFault(faultEvery(127, 12))

	var (
		group   sync.WaitGroup
		unknown atomic.Int64
	)
	failures := make([]error, workers)
	for worker := range workers {
		group.Go(func() {
			for n := 1; n <= increments; n++ {
				lost, err := increment(t.Context(), processes[worker%len(processes)], "worker-"+strconv.Itoa(worker), n)
				unknown.Add(lost)
				if err != nil {
					failures[worker] = err
					return
				}
			}
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(failures...))

	rec, err := processes[0].Get(t.Context(), doctor)
	require.NoError(t, err)
	for worker := range workers {
		require.Equal(t, increments, count(rec, "worker-"+strconv.Itoa(worker)))
	}
	require.Equal(t, workers*increments, count(rec, "total"), "increments lost or doubled")
	stats := srv.Stats()
	require.Equal(t, 12, stats.Faults)
	require.NotZero(t, stats.Replayed, "no retried write was ever recognised")
	t.Logf("%d increments, %d faults, %d retried writes recognised by the server, %d outcomes unknown to the caller",
		workers*increments, stats.Faults, stats.Replayed, unknown.Load())
}

// faultEvery makes limit faults, one at each nth write, of the three kinds in turn.
func faultEvery(nth, limit int) func(wiretest.Command) wiretest.Fault {
	writes, made := 0, 0
	kinds := []wiretest.Fault{wiretest.CutAfter, wiretest.NotPrimary, wiretest.CutBefore}
	return func(command wiretest.Command) wiretest.Fault {
		if command.Name != "update" || made == limit {
			return wiretest.NoFault
		}
		if writes++; writes%nth != 0 {
			return wiretest.NoFault
		}
		made++
		return kinds[made%len(kinds)]
	}
}

// increment brings the worker's count to n and the total one up. lost counts unknown
// outcomes.
func increment(ctx context.Context, tokens store.TokenStore, worker string, n int) (lost int64, err error) {
	for {
		rec, err := tokens.Get(ctx, doctor)
		if errors.Is(err, telemed.ErrUnavailable) {
			continue
		}
		if err != nil {
			return lost, err
		}
		if count(rec, worker) == n { // the write whose outcome was unknown
			return lost, nil
		}
		extra := map[string]string{"total": strconv.Itoa(count(rec, "total") + 1)}
		for name, value := range rec.Token.Extra {
			if name != "total" {
				extra[name] = value
			}
		}
		extra[worker] = strconv.Itoa(n)
		rec.Token.Extra = extra
		switch _, err = tokens.Put(ctx, rec); {
		case err == nil:
			return lost, nil
		case errors.Is(err, telemed.ErrAmbiguous):
			lost++
		case !errors.Is(err, telemed.ErrConflict):
			return lost, err
		}
	}
}

func count(rec store.Record, name string) int {
	n, err := strconv.Atoi(rec.Token.Extra[name])
	if err != nil {
		return 0
	}
	return n
}
