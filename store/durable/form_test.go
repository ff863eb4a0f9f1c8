package durable_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

type record struct {
	Start time.Time     `json:"start,omitzero"`
	Told  int           `json:"told,omitempty"`
	Rests durable.Rests `json:"rests,omitempty"`
}

var form = durable.Form[record]{Name: "reminders", Version: 2}

func TestFormKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	item := durable.Item{Version: 1, Data: []byte(`{"told":1,"later":{"a":[1]}}`)}
	require.NoError(t, form.Edit(&item, func(r *record, trail *durable.Trail) error {
		require.Equal(t, 1, r.Told)
		r.Told = 0
		trail.Add("untold")
		return nil
	}))
	require.JSONEq(t, `{"later":{"a":[1]}}`, string(item.Data))
	require.Equal(t, 2, item.Version)
	trail, err := form.Trail(item)
	require.NoError(t, err)
	require.Equal(t, "untold", trail[0].What)
}

func TestFormRefuses(t *testing.T) {
	t.Parallel()
	_, err := form.Open(durable.Item{Version: 3})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	for name, item := range map[string]durable.Item{
		"data": {Data: []byte(`{"told":"x"}`)}, "no object": {Data: []byte(`[1]`)}, "trail": {Audit: []byte(`{}`)},
	} {
		before := item.Clone()
		err := form.Edit(&item, func(*record, *durable.Trail) error { return nil })
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
		require.Equal(t, before, item)
	}
	item := durable.Item{Data: []byte(`{"told":1}`)}
	refused := errors.New("refused")
	require.ErrorIs(t, form.Edit(&item, func(r *record, _ *durable.Trail) error { r.Told = 5; return refused }), refused)
	require.Equal(t, durable.Item{Data: []byte(`{"told":1}`)}, item)
}

func TestTrailIsBounded(t *testing.T) {
	t.Parallel()
	var trail durable.Trail
	for range 1000 {
		trail.Add("again")
	}
	require.Len(t, trail, 200)
	text, err := json.Marshal(trail)
	require.NoError(t, err)
	require.Less(t, len(text), durable.MaxAudit)
}

type later time.Duration

func (l later) Error() string             { return "later" }
func (l later) RetryDelay() time.Duration { return time.Duration(l) }

func TestRests(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var rests durable.Rests
	require.True(t, rests.Ready("mail", now))
	require.Zero(t, rests.Next(now))
	rests.End()
	rests.Fail("mail", 2, now.Add(time.Minute))
	rests.Fail("chat", 1, now.Add(time.Second))
	require.False(t, rests.Ready("mail", now))
	require.True(t, rests.Ready("mail", now.Add(time.Minute)))
	require.Equal(t, now.Add(time.Second), rests.Next(now))
	require.Equal(t, now.Add(time.Minute), rests.Next(now.Add(time.Second)))
	rests.End()
	require.True(t, rests.Ready("mail", now))
	require.Equal(t, 2, rests["mail"].N)
}

func TestRestAfter(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]time.Duration{1: 30 * time.Second, 2: time.Minute, 7: 30 * time.Minute, math.MaxInt: 30 * time.Minute} {
		require.InDelta(t, want, durable.RestAfter(n, errors.New("failed")), 0.21*float64(want))
	}
	require.Equal(t, time.Hour, durable.RestAfter(1, durable.AtRest(errors.Join(later(time.Hour))).(interface{ Unwrap() error }).Unwrap()))
	require.Equal(t, 25*time.Hour, durable.RestAfter(1, later(100*time.Hour)))
}

// TestRunnerTakesFurtherKinds: packages may share the application's Runner.
func TestRunnerTakesFurtherKinds(t *testing.T) {
	t.Parallel()
	rows := durable.NewMemory()
	done := map[string]bool{}
	kind := func(name string) durable.Kind {
		return durable.Kind{Plan: func(durable.Item, time.Time) (durable.Effect, error) { done[name] = true; return durable.Effect{}, nil }}
	}
	runner, err := durable.NewRunner(durable.RunnerConfig{Store: rows, Kinds: map[string]durable.Kind{"a": kind("a")}})
	require.NoError(t, err)
	require.NoError(t, runner.Add("b", kind("b")))
	require.Error(t, runner.Add("c", durable.Kind{}))
	require.Error(t, runner.Add("?", kind("d")))
	for _, name := range []string{"a", "b"} {
		id := durable.ID{Kind: name, Name: "x"}
		_, err := rows.Put(t.Context(), durable.Item{ID: id, Due: time.Now().Add(-time.Second)})
		require.NoError(t, err)
		_, err = runner.Step(t.Context(), id)
		require.NoError(t, err)
		require.True(t, done[name])
	}
}

// asleep is a context whose timer has not noticed that its time is over.
type asleep struct{ context.Context }

func (asleep) Err() error { return nil }

// TestNobodyWritesAfterTheDeadline: a process that was frozen between the read and the write
// leaves the row to those who have gone on, also if nobody has written since.
func TestNobodyWritesAfterTheDeadline(t *testing.T) {
	t.Parallel()
	rows, id := durable.NewMemory(), durable.ID{Kind: "day", Name: "x"}
	over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := durable.Change(asleep{over}, rows, id, func(item *durable.Item) error { item.Data = []byte("late"); return nil })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = rows.Get(t.Context(), id)
	require.ErrorIs(t, err, telemed.ErrNotFound)
}
