package integration_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store"
)

// TestRefreshOnce has 64 callers in 4 processes want each doctor's token in the moment in
// which it expires, again and again.
func TestRefreshOnce(t *testing.T) {
	t.Parallel()
	const doctors, rounds = 5, 20
	for _, d := range databases[:3] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, d, time.Hour, 20*time.Millisecond, doctors)
			var processes []*process
			for range fleetSize {
				processes = append(processes, f.start(t, false))
			}
			for round := 1; round <= rounds; round++ {
				for n := range doctors {
					expire(t, f.tokens, doctorKey(n))
				}
				served := f.round(t, processes)
				require.Equal(t, fleetSize*callers*doctors, served)
				require.Equal(t, round*doctors, f.provider.fake.Refreshes(), "refreshes after %d expiries of %d tokens", round, doctors)
			}
			stopAll(t, processes)
			require.Zero(t, f.provider.fake.Reuses())
			t.Logf("%d processes x %d callers, %d tokens expired %d times: %d refreshes, 0 reuses, 0 failures",
				fleetSize, callers, doctors, rounds, f.provider.fake.Refreshes())
		})
	}
}

// round lets the herd loose and returns how many calls got the newest token. All must.
func (f *fleet) round(t *testing.T, processes []*process) (served int) {
	t.Helper()
	for _, got := range ask(t, processes, "go") {
		for n := range f.cfg.Doctors {
			key := doctorKey(n)
			rec, err := f.tokens.Get(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, f.provider.newest(key.Subject), rec.Token.Refresh.Reveal())
			require.Equal(t, []string{rec.Token.Access.Reveal()}, got.Access[key.Subject])
		}
		served += got.Served
	}
	return served
}

// ask writes a line to all processes at once and returns what they report.
func ask(t *testing.T, processes []*process, line string) (reports []report) {
	t.Helper()
	for _, p := range processes {
		_, err := io.WriteString(p.stdin, line+"\n")
		require.NoError(t, err)
	}
	for _, p := range processes {
		got, ok := <-p.reports
		require.True(t, ok, "%s has ended: %s", p.name, p.stderr.String())
		require.Empty(t, got.Failed)
		reports = append(reports, got)
	}
	return reports
}

// expire lets a token have been good until a moment ago.
func expire(t *testing.T, tokens store.TokenStore, key store.AccountID) {
	t.Helper()
	rec, err := tokens.Get(t.Context(), key)
	require.NoError(t, err)
	rec.Token.Expiry = time.Now().Add(-time.Second).Truncate(time.Millisecond)
	_, err = tokens.Put(t.Context(), rec)
	require.NoError(t, err)
}
