package storetest

import (
	"errors"
	"fmt"
	"slices"
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

func createRace(c *tokensTest) {
	for round := range 5 {
		id := store.AccountID{Provider: "zoom", Subject: "race-" + strconv.Itoa(round)}
		revisions := make([]string, workers)
		c.amid(workers, func(worker int, st store.TokenStore) error {
			revision, err := st.Put(c.Context(), small(id, strconv.Itoa(worker)))
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
				want := small(id, strconv.Itoa(worker))
				want.Revision = revision
				c.wantStored(want)
			}
		}
		if winners != 1 {
			c.Fatalf("%d of %d concurrent creations succeeded, want 1", winners, workers)
		}
	}
}

// incrementRace is what loses doctors in stores whose compare and set are two steps, or
// one in each process: an increment that is overwritten would be a refresh token that is
// spent.
func incrementRace(c *tokensTest) {
	c.put(counter(0))
	c.amid(workers, func(_ int, st store.TokenStore) error {
		for range increments {
			if err := c.increment(st); err != nil {
				return err
			}
		}
		return nil
	})
	if got := count(c.get(key)); got != workers*increments {
		c.Errorf("counter is %d after %d increments", got, workers*increments)
	}
}

func (c *tokensTest) increment(st store.TokenStore) error {
	for {
		rec, err := st.Get(c.Context(), key)
		if err != nil {
			return err
		}
		n := count(rec)
		if n < 0 {
			return errors.New("a Get returns a record of two writes")
		}
		next := counter(n + 1)
		next.Revision = rec.Revision
		revision, err := st.Put(c.Context(), next)
		if err == nil {
			c.fresh(revision)
		}
		if !errors.Is(err, telemed.ErrConflict) {
			return err
		}
	}
}

// counter returns a record that says n in every part.
func counter(n int) store.Record {
	text := strconv.Itoa(n)
	rec := small(key, text)
	rec.Token.Extra = map[string]string{"n": text}
	rec.Status, rec.Reason, rec.Lease.Owner = store.Status(text), text, text
	return rec
}

// count returns what rec says, or -1 if its parts do not say the same.
func count(rec store.Record) int {
	n, err := strconv.Atoi(rec.Reason)
	if err != nil || !sameText(rec.Reason, rec.Token.Access.Reveal(), rec.Token.Extra["n"], string(rec.Status), rec.Lease.Owner) {
		return -1
	}
	return n
}

func sameText(text string, others ...string) bool {
	return !slices.ContainsFunc(others, func(other string) bool { return other != text })
}

// accountsRace has each worker write to an account of its own: what others do at the same
// moment is neither a conflict nor the same revision.
func accountsRace(c *tokensTest) {
	last := make([]store.Record, workers)
	c.amid(workers, func(worker int, st store.TokenStore) error {
		rec := small(store.AccountID{Provider: "zoom", Subject: "race-" + strconv.Itoa(worker)}, "one")
		for n := range 2 * increments {
			rec.Token.Access = telemed.NewSecret(fmt.Sprint(worker, " wrote ", n))
			revision, err := st.Put(c.Context(), rec)
			if err != nil {
				return fmt.Errorf("an account of its own: Put: %w", err)
			}
			c.fresh(revision)
			rec.Revision = revision
		}
		last[worker] = rec
		return nil
	})
	for _, rec := range last {
		c.wantStored(rec)
	}
}

// deleteRace has writers who hold a revision meet a delete: whatever happens first,
// nobody brings the record back.
func deleteRace(c *tokensTest) {
	for round := range 10 {
		rec := c.put(small(store.AccountID{Provider: "zoom", Subject: "race-" + strconv.Itoa(round)}, "one"))
		c.amid(4, func(worker int, st store.TokenStore) error {
			if worker == 0 {
				return st.Delete(c.Context(), rec.ID)
			}
			_, err := st.Put(c.Context(), rec)
			if errors.Is(err, telemed.ErrConflict) {
				return nil
			}
			return err
		})
		c.wantAbsent(rec.ID)
	}
}
