package meetkey_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const name = "key"

func records(claims store.Claims) meetkey.Records { return meetkey.NewRecords("test:", claims, nil) }

func open(t *testing.T, b meetkey.Records) *meetkey.Entry {
	t.Helper()
	e, err := b.Open(t.Context(), name)
	require.NoError(t, err)
	return e
}

var made = meetkey.Record{State: meetkey.Made, Meeting: "m1", Account: "a1"}

func TestRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := records(store.NewMemory())
		start := time.Now().Add(time.Hour)
		e := open(t, b)
		require.Zero(t, e.Record)
		require.NoError(t, e.Clear(t.Context()), "there is nothing to forget")
		asked := meetkey.Record{State: meetkey.Asked, Over: time.Now().UTC()}
		require.NoError(t, e.Write(t.Context(), asked, start))
		require.NoError(t, e.Write(t.Context(), made, start))
		e.Close(t.Context())
		e.Close(t.Context())

		read, err := b.Read(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, made, read)
		e = open(t, b)
		require.Equal(t, made, e.Record)
		require.NoError(t, e.Clear(t.Context()))
		e.Close(t.Context())
		time.Sleep(2 * time.Millisecond)
		e = open(t, b)
		require.Zero(t, e.Record, "forgotten")
		e.Close(t.Context())
	})
}

func TestHowLongItIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := records(store.NewMemory())
		e := open(t, b)
		require.NoError(t, e.Write(t.Context(), made, time.Now().AddDate(1, 0, 0)))
		e.Close(t.Context())
		time.Sleep(700 * 24 * time.Hour)
		e = open(t, b)
		require.Equal(t, made, e.Record, "until a year after the start")
		require.NoError(t, e.Write(t.Context(), meetkey.Record{State: meetkey.Cancelled}, time.Time{}))
		e.Close(t.Context())
		time.Sleep(9 * 366 * 24 * time.Hour)
		read, err := b.Read(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, meetkey.Cancelled, read.State)
	})
}

// One holder at a time, who is waited for, and not for longer than its lease.
func TestLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := records(store.NewMemory())
		var holders, most int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				e := open(t, b)
				mu.Lock()
				holders++
				most = max(most, holders)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				holders--
				mu.Unlock()
				e.Close(t.Context())
			})
		}
		wg.Wait()
		require.Equal(t, 1, most)

		died := open(t, b)
		require.Less(t, time.Until(died.Deadline()), time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Open(ctx, name)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		begin := time.Now()
		open(t, b).Close(t.Context())
		require.Less(t, time.Since(begin), 2*time.Minute)
		require.False(t, time.Now().Before(died.Deadline()), "its time was over by then")
	})
}

// A holder that takes its time writes all the same, although others look meanwhile.
func TestSlowHolder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := records(store.NewMemory())
		e := open(t, b)
		time.Sleep(20 * time.Second)
		read, err := b.Read(t.Context(), name)
		require.NoError(t, err)
		require.Zero(t, read)
		require.NoError(t, e.Write(t.Context(), made, time.Now()))
		e.Close(t.Context())
		read, err = b.Read(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, made, read)
	})
}

// flaky fails as often as it is told.
type flaky struct {
	store.Claims
	failures int
}

func (f *flaky) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if f.failures--; f.failures >= 0 {
		return errors.New("away")
	}
	return f.Claims.Complete(ctx, key, token, value, keep)
}

func TestWriteIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		claims := &flaky{Claims: store.NewMemory(), failures: 2}
		b := records(claims)
		e := open(t, b)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, e.Write(ended, made, time.Now()), "also if the caller has gone")
		claims.failures = 3
		require.Error(t, e.Write(t.Context(), made, time.Now()))
		e.Close(t.Context())
		require.NoError(t, b.Note(t.Context(), name, made, time.Now()))
	})
}

func TestWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	claims := store.NewMemory()
	claim, err := claims.Claim(t.Context(), "test:"+name, time.Minute)
	require.NoError(t, err)
	require.NoError(t, claims.Complete(t.Context(), "test:"+name, claim.Token, []byte("asha"), time.Hour))
	_, err = records(claims).Open(t.Context(), name)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "asha")
	_, err = records(claims).Read(t.Context(), name)
	require.Error(t, err)
}

type tokensAlone struct{ store.TokenStore }

func TestWhichClaims(t *testing.T) {
	t.Parallel()
	own, tokens := store.NewMemory(), store.NewMemory()
	require.Same(t, own, meetkey.NewRecords("", own, tokens).Claims)
	require.Same(t, tokens, meetkey.NewRecords("", nil, tokens).Claims)
	require.False(t, meetkey.NewRecords("", nil, tokens).Forgets)
	require.True(t, meetkey.NewRecords("", nil, tokensAlone{tokens}).Forgets)
}

// TestAbsent: only the account that a meeting was made in can say that it is gone.
func TestAbsent(t *testing.T) {
	t.Parallel()
	const a, b = "a", "b"
	for _, test := range []struct {
		made       string // in which account; "-": nothing is written down
		asked, now string
		forgets    bool
		want       meetkey.Absence
	}{
		{a, a, a, false, meetkey.Believed},
		{a, "", a, false, meetkey.Believed},
		{a, b, b, false, meetkey.Elsewhere},
		{a, "", b, false, meetkey.Elsewhere},
		{a, a, "", false, meetkey.Unknown},
		{a, "", "", false, meetkey.Unknown},
		{b, a, b, false, meetkey.Unknown}, // another account was asked than is connected
		{a, a, b, false, meetkey.Unknown},
		{"", a, a, false, meetkey.Unknown},
		{"", "", "", false, meetkey.Unknown},
		{"-", a, a, false, meetkey.Believed}, // none of this application's
		{"-", a, b, false, meetkey.Unknown},
		{"-", "", "", false, meetkey.Unknown},
		{"-", a, a, true, meetkey.Unknown}, // or made before a restart
		{a, a, a, true, meetkey.Believed},
	} {
		known := meetkey.Record{State: meetkey.Made, Account: test.made}
		if test.made == "-" {
			known = meetkey.Record{}
		}
		require.Equal(t, test.want, meetkey.Records{Forgets: test.forgets}.Absent(known, test.asked, test.now), "%+v", test)
	}
}

// TestWhoComesLateForgetsNothing has a holder stand still past its lease, while another one
// makes the meeting. What the first one thinks of the provider's answer is not true any more.
func TestWhoComesLateForgetsNothing(t *testing.T) {
	t.Parallel()
	for what, late := range map[string]func(context.Context, *meetkey.Entry) error{
		"nothing was made": func(ctx context.Context, e *meetkey.Entry) error { return e.Clear(ctx) },
		"it was asked for": func(ctx context.Context, e *meetkey.Entry) error {
			return e.Write(ctx, meetkey.Record{State: meetkey.Asked, Over: time.Now()}, time.Now())
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := records(store.NewMemory())
				frozen := open(t, b)
				require.NoError(t, frozen.Write(t.Context(), meetkey.Record{State: meetkey.Asked, Over: frozen.Deadline()}, time.Now()))
				other := open(t, b)
				require.NoError(t, other.Write(t.Context(), made, time.Now()))
				other.Close(t.Context())
				require.Error(t, late(t.Context(), frozen))
				frozen.Close(t.Context())
				time.Sleep(time.Second)
				read, err := b.Read(t.Context(), name)
				require.NoError(t, err)
				require.Equal(t, made, read)
			})
		})
	}
}

// TestAHolderWithLittleTime keeps others from a record for as long as its caller has time,
// and the margin, and ends by then itself.
func TestAHolderWithLittleTime(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct{ time, want time.Duration }{
		"little": {15 * time.Second, 25 * time.Second}, "none": {time.Millisecond, 11 * time.Second},
		"much": {time.Hour, time.Minute}, "no end": {0, time.Minute},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := records(store.NewMemory())
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if test.time > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.time)
				}
				defer cancel()
				begin := time.Now()
				died, err := b.Open(ctx, name)
				require.NoError(t, err)
				require.False(t, died.Deadline().After(begin.Add(test.want-10*time.Second)))
				if end, ok := ctx.Deadline(); ok {
					require.False(t, died.Deadline().After(end))
				}
				undo, done := died.Undo(ctx)
				defer done()
				last, _ := undo.Deadline()
				require.Equal(t, died.Deadline().Add(5*time.Second), last)
				open(t, b).Close(t.Context())
				require.False(t, time.Now().Before(died.Deadline().Add(10*time.Second)), "what it asked for last may be under way")
				require.Less(t, time.Since(begin), test.want+time.Second)
			})
		})
	}
}

// TestUnderWay tells who cannot wait that another one is at it, and nobody else.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		claims := &slow{Claims: store.NewMemory()}
		b := records(claims)
		open(t, b)
		for _, claims.takes = range []time.Duration{0, 700 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := b.Open(ctx, name)
			require.ErrorIs(t, err, fault.UnderWay)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		claims.takes = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Open(ctx, "another")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, fault.UnderWay, "a database that does not answer is no holder")
	})
}

// slow takes its time.
type slow struct {
	store.Claims
	takes time.Duration
}

func (s *slow) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return store.Claim{}, ctx.Err()
	}
	return s.Claims.Claim(ctx, key, lease)
}
