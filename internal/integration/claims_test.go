package integration_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/storetest"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t)
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn := d.dsn(t)
			storetest.RunClaims(t, func(t *testing.T) func() store.Claims {
				cfg := seal(d.tables(t, d.open(t, dsn)), keys)
				return func() store.Claims { return d.openHandle(t, dsn, cfg) }
			})
		})
	}
}

// TestClaimsIgnoreTheProcessClock has a second process that lives in the year 2000, where
// the time of a bubble begins. SQLite is left out: its clock is that of the machine.
func TestClaimsIgnoreTheProcessClock(t *testing.T) {
	t.Parallel()
	for _, d := range databases[1:3] {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn := d.dsn(t)
			cfg := d.tables(t, d.open(t, dsn))
			here := openStore(t, cfg)
			ctx := t.Context()
			first, err := here.Claim(ctx, "theirs", time.Minute)
			require.NoError(t, err)
			require.Equal(t, store.ClaimNew, first.State)
			made, err := here.Claim(ctx, "made", time.Minute)
			require.NoError(t, err)
			require.NoError(t, here.Complete(ctx, "made", made.Token, []byte("value"), time.Minute))

			synctest.Test(t, func(t *testing.T) {
				require.Less(t, time.Now().Year(), 2001)
				db, err := sql.Open(d.driver, dsn)
				require.NoError(t, err)
				defer db.Close()
				own := cfg
				own.DB = db
				then := openStore(t, own)
				busy, err := then.Claim(t.Context(), "theirs", time.Minute)
				require.NoError(t, err)
				require.Equal(t, store.ClaimBusy, busy.State)
				done, err := then.Claim(t.Context(), "made", time.Minute)
				require.NoError(t, err)
				require.Equal(t, store.ClaimDone, done.State)
				mine, err := then.Claim(t.Context(), "mine", time.Minute)
				require.NoError(t, err)
				require.Equal(t, store.ClaimNew, mine.State)
				purged, err := then.PurgeClaims(t.Context())
				require.NoError(t, err)
				require.Zero(t, purged)
			})
			busy, err := here.Claim(ctx, "mine", time.Minute)
			require.NoError(t, err)
			require.Equal(t, store.ClaimBusy, busy.State)
		})
	}
}

// TestClaimOnce has 64 callers in 4 processes want one key, again and again. One of them
// does it each time, and all learn what came of it.
func TestClaimOnce(t *testing.T) {
	t.Parallel()
	const rounds = 40
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn := d.dsn(t)
			cfg := d.tables(t, d.open(t, dsn))
			f := &fleet{dead: map[string]time.Time{}, cfg: childConfig{
				Driver: d.driver, Dialect: d.dialect, DSN: dsn, Table: cfg.Table, ClaimsTable: cfg.ClaimsTable,
			}}
			var processes []*process
			for range fleetSize {
				processes = append(processes, f.start(t, false))
			}
			winners := map[string]int{}
			for round := range rounds {
				won, served := 0, 0
				var values []string
				for _, got := range ask(t, processes, fmt.Sprint("key-", round)) {
					won, served = won+got.Won, served+got.Served
					values = append(values, got.Values...)
				}
				require.Equal(t, 1, won, "winners of round %d", round)
				require.Equal(t, fleetSize*callers, served)
				require.Len(t, values, fleetSize, "each process has seen one value")
				require.Len(t, slices.Compact(values), 1, "and all the same")
				winners[values[0]]++
			}
			stopAll(t, processes)
			t.Logf("%d processes x %d callers, %d keys: %d winners, by process %v", fleetSize, callers, rounds, rounds, winners)
		})
	}
}

// claimRounds has all callers claim the key of each line of input at once. Whoever wins
// it completes it; the others ask until they learn what came of it.
func (c *child) claimRounds(claims store.Claims) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var (
			mu    sync.Mutex
			got   report
			group sync.WaitGroup
		)
		for range callers {
			group.Go(func() {
				won, value, err := c.claimOnce(claims, lines.Text())
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					got.Failed = append(got.Failed, err.Error())
					return
				}
				got.Served++
				if won {
					got.Won++
				}
				if !slices.Contains(got.Values, value) {
					got.Values = append(got.Values, value)
				}
			})
		}
		group.Wait()
		c.write(got)
	}
}

func (c *child) claimOnce(claims store.Claims, key string) (won bool, value string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		claim, err := claims.Claim(ctx, key, time.Minute)
		switch {
		case err != nil:
			return false, "", err
		case claim.State == store.ClaimNew:
			return true, c.Name, claims.Complete(ctx, key, claim.Token, []byte(c.Name), time.Hour)
		case claim.State == store.ClaimDone:
			return false, string(claim.Value), nil
		}
		time.Sleep(time.Millisecond) // another process has it: there is no condition to wait for
	}
}
