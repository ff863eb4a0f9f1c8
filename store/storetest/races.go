package storetest

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

const (
	workers    = 8
	increments = 25
)

// together runs work in many goroutines that start at once. What they return is the
// test's failure.
func together(t *testing.T, n int, work func(worker int) error) {
	t.Helper()
	begin := make(chan struct{})
	failed := make([]error, n)
	var group sync.WaitGroup
	for worker := range n {
		group.Go(func() {
			<-begin
			failed[worker] = work(worker)
		})
	}
	close(begin)
	group.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
}

func createRace(t *testing.T, st store.TokenStore) {
	for round := range 5 {
		key := store.AccountID{Provider: "zoom", Subject: "doctor-" + strconv.Itoa(round)}
		revisions := make([]string, workers)
		together(t, workers, func(worker int) error {
			revision, err := st.Put(t.Context(), small(key, strconv.Itoa(worker)))
			if errors.Is(err, telemed.ErrConflict) {
				return nil
			}
			revisions[worker] = revision
			return err
		})
		winners := 0
		for worker, revision := range revisions {
			if revision != "" {
				winners++
				want := small(key, strconv.Itoa(worker))
				want.Revision = revision
				wantStored(t, st, want)
			}
		}
		if winners != 1 {
			t.Fatalf("%d of %d concurrent creations succeeded, want 1", winners, workers)
		}
	}
}

// incrementRace is what loses doctors in stores whose compare and set are two
// steps: an increment that is overwritten would be a refresh token that is spent.
func incrementRace(t *testing.T, st store.TokenStore) {
	mustPut(t, st, counter(0))
	var (
		mu   sync.Mutex
		seen = map[string]int{}
	)
	together(t, workers, func(int) error {
		for range increments {
			revision, err := increment(t, st)
			if err != nil {
				return err
			}
			mu.Lock()
			seen[revision]++
			mu.Unlock()
		}
		return nil
	})
	if got := count(mustGet(t, st, key)); got != workers*increments {
		t.Errorf("counter is %d after %d increments", got, workers*increments)
	}
	if len(seen) != workers*increments {
		t.Errorf("%d successful writes returned %d different revisions", workers*increments, len(seen))
	}
}

func increment(t *testing.T, st store.TokenStore) (string, error) {
	for {
		rec, err := st.Get(t.Context(), key)
		if err != nil {
			return "", err
		}
		next := counter(count(rec) + 1)
		next.Revision = rec.Revision
		revision, err := st.Put(t.Context(), next)
		if !errors.Is(err, telemed.ErrConflict) {
			return revision, err
		}
	}
}

func counter(n int) store.Record {
	rec := small(key, "token")
	rec.Token.Extra = map[string]string{"n": strconv.Itoa(n)}
	return rec
}

func count(rec store.Record) int {
	n, err := strconv.Atoi(rec.Token.Extra["n"])
	if err != nil {
		return -1
	}
	return n
}

// deleteRace has writers who hold a revision meet a delete: whatever happens first,
// nobody brings the record back.
func deleteRace(t *testing.T, st store.TokenStore) {
	for round := range 10 {
		key := store.AccountID{Provider: "zoom", Subject: "doctor-" + strconv.Itoa(round)}
		rec := mustPut(t, st, small(key, "one"))
		together(t, 4, func(worker int) error {
			if worker == 0 {
				return st.Delete(t.Context(), key)
			}
			_, err := st.Put(t.Context(), rec)
			if errors.Is(err, telemed.ErrConflict) {
				return nil
			}
			return err
		})
		wantAbsent(t, st, key)
	}
}
