package realtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
)

func TestMemoryJournal(t *testing.T) {
	t.Parallel()
	realtimetest.RunJournal(t, func(t *testing.T) realtimetest.JournalEngine {
		j := &realtime.MemoryJournal{MaxBytes: 256 << 10}
		return realtimetest.JournalEngine{
			Open: func() realtime.Journal { return j },
			Trim: func() {
				for range 300 {
					_, err := j.Append(t.Context(), number(0, strings.Repeat("x", 1000)))
					require.NoError(t, err)
				}
			},
		}
	})
}

func number(n int, text string) realtime.Entry {
	return realtime.Entry{
		Kind: realtime.KindEvent, Name: fmt.Sprint("n", n), Rooms: []string{"clinic-7"},
		Args: []json.RawMessage{json.RawMessage(`"` + text + `"`)},
	}
}

func TestMemoryJournalDropsByAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &realtime.MemoryJournal{MaxAge: time.Minute}
		start, err := j.Head(t.Context())
		require.NoError(t, err)
		first, err := j.Append(t.Context(), number(1, ""))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		page, err := j.Since(t.Context(), start, nil, 10)
		require.NoError(t, err)
		require.Len(t, page.Entries, 1)

		time.Sleep(time.Nanosecond)
		_, err = j.Since(t.Context(), start, nil, 10)
		require.ErrorIs(t, err, realtime.ErrGap)
		require.ErrorIs(t, j.Follow(t.Context(), start, func(realtime.Entry) {}), realtime.ErrGap)
		page, err = j.Since(t.Context(), first, nil, 10)
		require.NoError(t, err, "nothing came after it")
		require.Empty(t, page.Entries)
		head, err := j.Head(t.Context())
		require.NoError(t, err)
		require.Equal(t, first, head)
	})
}

// A long life does not grow the memory: what is dropped is given back.
func TestMemoryJournalKeepsItsBounds(t *testing.T) {
	t.Parallel()
	j := &realtime.MemoryJournal{MaxBytes: 100_000}
	for n := range 20_000 {
		_, err := j.Append(t.Context(), number(n, "0123456789"))
		require.NoError(t, err)
	}
	oldest, err := j.At(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	page, err := j.Since(t.Context(), oldest, nil, 20_000)
	require.NoError(t, err)
	require.Greater(t, len(page.Entries), 100)
	require.Less(t, len(page.Entries), 400)
	require.Equal(t, "n19999", page.Entries[len(page.Entries)-1].Name)
	require.False(t, page.More)
	require.Equal(t, fmt.Sprint("n", 20_000-len(page.Entries)), page.Entries[0].Name)

	huge := number(1, strings.Repeat("x", 200_000))
	_, err = j.Append(t.Context(), huge)
	require.NoError(t, err)
	page, err = j.Since(t.Context(), page.UpTo, nil, 10)
	require.NoError(t, err)
	require.Len(t, page.Entries, 1, "the newest stays, however large")
}

// A follower that is slower than the bounds is told so.
func TestMemoryJournalTellsASlowFollower(t *testing.T) {
	t.Parallel()
	j := &realtime.MemoryJournal{MaxBytes: 100_000}
	head, err := j.Head(t.Context())
	require.NoError(t, err)
	_, err = j.Append(t.Context(), number(0, ""))
	require.NoError(t, err)
	delivered := 0
	err = j.Follow(t.Context(), head, func(realtime.Entry) {
		delivered++
		for n := range 1000 {
			_, err := j.Append(context.Background(), number(n, "0123456789"))
			require.NoError(t, err)
		}
	})
	require.ErrorIs(t, err, realtime.ErrGap)
	require.Equal(t, 1, delivered)
}

// An entry says nothing of a patient, however it is printed.
func TestEntryPrintsWithoutData(t *testing.T) {
	t.Parallel()
	entry := realtime.Entry{
		Kind: realtime.KindEvent, Name: "new-appointment", Rooms: []string{"user-asha"}, Except: []string{"user-rao"},
		Args: []json.RawMessage{json.RawMessage(`"Asha Verma"`)}, Attachments: [][]byte{[]byte("Asha")}, Moved: []string{"asha"},
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		printed := strings.ToLower(fmt.Sprintf(verb, entry) + fmt.Sprintf(verb, realtime.Page{Entries: []realtime.Entry{entry}}))
		require.NotContains(t, printed, "asha", verb)
		require.NotContains(t, printed, "rao", verb)
	}
	entry.Rooms[0] = "asha\x00"
	err := entry.Check()
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.NotContains(t, err.Error(), "asha")
	require.Equal(t, []string{"Rooms[0]", "Attachments", "Moved"}, fields(err))
}

func fields(err error) (names []string) {
	for _, field := range telemed.Fields(err) {
		names = append(names, field.Field)
	}
	return names
}

func TestEntryReaches(t *testing.T) {
	t.Parallel()
	in := func(rooms ...string) func(string) bool {
		return func(room string) bool { return strings.Contains(strings.Join(rooms, " "), room) }
	}
	entry := realtime.Entry{Kind: realtime.KindEvent, Rooms: []string{"a", "b"}, Except: []string{"x"}}
	require.True(t, entry.Reaches(in("b")))
	require.False(t, entry.Reaches(in("c")))
	require.False(t, entry.Reaches(in("a", "x")))
	entry.Rooms = nil
	require.True(t, entry.Reaches(in("c")))
	require.False(t, entry.Reaches(in("x")))
}

func BenchmarkMemoryJournal(b *testing.B) {
	j := &realtime.MemoryJournal{}
	entry := number(1, strings.Repeat("x", 200))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Append(b.Context(), entry); err != nil {
			b.Fatal(err)
		}
	}
}
