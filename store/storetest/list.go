package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/telemed-go/telemed/store"
)

func lister(t *testing.T, st store.TokenStore) store.Lister {
	t.Helper()
	l, ok := st.(store.Lister)
	if !ok {
		t.Skip("the store does not implement store.Lister")
	}
	return l
}

// listed returns what List yields, by key.
func listed(t *testing.T, l store.Lister, filter store.Filter) map[store.AccountID]store.Record {
	t.Helper()
	found := map[store.AccountID]store.Record{}
	for rec, err := range l.List(t.Context(), filter) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if _, twice := found[rec.ID]; twice {
			t.Errorf("List yields %v twice", rec.ID)
		}
		found[rec.ID] = rec
	}
	return found
}

// fill puts n records of each of two providers, every third waiting to be reconnected.
func fill(t *testing.T, st store.TokenStore, n int) map[store.AccountID]store.Record {
	t.Helper()
	kept := map[store.AccountID]store.Record{}
	for i := range n {
		for _, provider := range []string{"google", "zoom"} {
			rec := full(store.AccountID{Provider: provider, Subject: fmt.Sprintf("Doctor %d ", i)})
			if i%3 != 0 {
				rec.Status, rec.Reason, rec.Lease = store.StatusActive, "", store.Lease{}
			}
			kept[rec.ID] = mustPut(t, st, rec)
		}
	}
	return kept
}

func list(t *testing.T, st store.TokenStore) {
	l := lister(t, st)
	if found := listed(t, l, store.Filter{}); len(found) != 0 {
		t.Errorf("an empty store lists %d records", len(found))
	}
	kept := fill(t, st, 7)
	wantListed(t, l, kept)
	for key, rec := range kept { // what is looked up by must follow what is stored
		switch {
		case key.Provider == "google" && rec.Status == store.StatusReconnect:
			delete(kept, key)
			if err := st.Delete(t.Context(), key); err != nil {
				t.Fatalf("Delete: %v", err)
			}
		case rec.Status == store.StatusReconnect:
			rec.Status = store.StatusActive
			kept[key] = mustPut(t, st, rec)
		case key.Provider == "google":
			rec.Status = store.StatusReconnect
			kept[key] = mustPut(t, st, rec)
		}
	}
	wantListed(t, l, kept)
	for _, err := range l.List(t.Context(), store.Filter{}) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		break
	}
	failures := 0
	for _, err := range l.List(cancelled(t), store.Filter{}) {
		if err == nil {
			t.Fatal("List with an ended context yields a record")
		}
		wantErr(t, "List with an ended context", err, context.Canceled)
		failures++
	}
	if failures != 1 {
		t.Errorf("List with an ended context yields %d errors, want 1", failures)
	}
}

// wantListed fails unless each filter finds exactly what it fits.
func wantListed(t *testing.T, l store.Lister, kept map[store.AccountID]store.Record) {
	t.Helper()
	for _, filter := range []store.Filter{
		{}, {Provider: "zoom"}, {Status: store.StatusReconnect}, {Provider: "google", Status: store.StatusActive}, {Provider: "zoo"}, {Provider: "nobody"},
	} {
		found := listed(t, l, filter)
		for key, want := range kept {
			got, ok := found[key]
			if ok != filter.Match(want) {
				t.Errorf("List(%+v): yields %v: %t", filter, key, ok)
			}
			if ok {
				wantEqual(t, got, want)
			}
		}
		for key := range found {
			if _, ok := kept[key]; !ok {
				t.Errorf("List(%+v) yields %v, which is not there", filter, key)
			}
		}
	}
}

// listWhileWriting uses the store inside the loop, as resealing does. There are more
// records than fit on most pages.
func listWhileWriting(t *testing.T, st store.TokenStore) {
	l := lister(t, st)
	kept := fill(t, st, 130)
	visited := map[store.AccountID]bool{}
	for rec, err := range l.List(t.Context(), store.Filter{}) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if visited[rec.ID] {
			t.Fatalf("List yields %v twice", rec.ID)
		}
		visited[rec.ID] = true
		rec.Reason = "seen"
		mustPut(t, st, rec)
	}
	if len(visited) != len(kept) {
		t.Errorf("List yields %d of %d records that were only written to", len(visited), len(kept))
	}
}
