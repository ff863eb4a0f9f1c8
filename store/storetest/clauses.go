package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

func getPut(t *testing.T, st store.TokenStore) {
	rec := mustPut(t, st, small(key, "one"))
	wantStored(t, st, rec)
	rec.Token.Access = telemed.NewSecret("two")
	first := rec.Revision
	rec = mustPut(t, st, rec)
	if rec.Revision == first {
		t.Error("Put over a record returned the revision that was there")
	}
	wantStored(t, st, rec)
	again := mustPut(t, st, rec) // nothing changed but the revision
	if again.Revision == rec.Revision {
		t.Error("Put of an unchanged record returned the revision that was there")
	}
	wantStored(t, st, again)
}

func absent(t *testing.T, st store.TokenStore) {
	wantAbsent(t, st, key)
	if err := st.Delete(t.Context(), key); err != nil {
		t.Errorf("Delete of what is not there: %v, want nil", err)
	}
	rec := small(key, "one")
	rec.Revision = "no-such-revision"
	_, err := st.Put(t.Context(), rec)
	wantErr(t, "Put over a revision when there is no record", err, telemed.ErrConflict)
	wantAbsent(t, st, key)
}

func deletes(t *testing.T, st store.TokenStore) {
	other := mustPut(t, st, small(store.AccountID{Provider: key.Provider, Subject: "doctor-2"}, "two"))
	mustPut(t, st, mustPut(t, st, small(key, "one")))
	for range 2 {
		if err := st.Delete(t.Context(), key); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		wantAbsent(t, st, key)
	}
	wantStored(t, st, other)
}

func everyField(t *testing.T, st store.TokenStore) {
	rec := mustPut(t, st, full(key)) // created
	wantStored(t, st, rec)
	empty := small(key, "one")
	empty.Revision = rec.Revision
	rec = mustPut(t, st, empty) // every field is emptied again
	wantStored(t, st, rec)
	filled := full(key)
	filled.Revision = rec.Revision
	wantStored(t, st, mustPut(t, st, filled)) // replaced
}

func times(t *testing.T, st store.TokenStore) {
	for i, at := range []time.Time{
		time.UnixMilli(1).UTC(),
		time.Date(2026, 11, 24, 15, 0, 0, int(999*time.Millisecond), time.FixedZone("IST", 19_800)),
		time.Date(2026, 10, 25, 0, 30, 0, int(time.Millisecond), time.UTC), // a clock change in Europe
		time.Date(2999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		rec := small(store.AccountID{Provider: "zoom", Subject: fmt.Sprint("doctor-", i)}, "one")
		rec.Token.Expiry, rec.Lease.Until, rec.UpdatedAt = at, at.Add(time.Millisecond), at.Add(2*time.Millisecond)
		rec.Lease.Owner = "somebody"
		wantStored(t, st, mustPut(t, st, rec))
	}
}

// zeroFields puts a record as bare as a Source may write it: a token without an
// expiry, a taint without a lease, no time of change.
func zeroFields(t *testing.T, st store.TokenStore) {
	rec := store.Record{ID: key, Status: store.StatusActive, Token: store.Token{Scopes: []string{}, Extra: map[string]string{}}}
	rec = mustPut(t, st, rec)
	wantStored(t, st, rec)
	rec.Lease.Tainted = true
	wantStored(t, st, mustPut(t, st, rec))
}

// longest returns a record that fills its bounds to the byte.
func longest(t *testing.T) store.Record {
	t.Helper()
	rec := small(key, "token")
	rec.Status = store.Status(strings.Repeat("s", store.MaxStatus))
	rec.Reason = strings.Repeat("é", store.MaxReason/2)
	rec.Lease.Owner = strings.Repeat("o", store.MaxOwner)
	encoded, err := store.EncodeToken(rec.Token)
	if err != nil {
		t.Fatalf("EncodeToken: %v", err)
	}
	rec.Token.Access = telemed.NewSecret(strings.Repeat("a", store.MaxToken-len(encoded)+len("token")))
	return rec
}

// bounds puts the longest record that must be kept whole, and records of one byte too
// many.
func bounds(t *testing.T, st store.TokenStore) {
	rec := mustPut(t, st, longest(t))
	wantStored(t, st, rec)
	for field, change := range map[string]func(*store.Record){
		"Record.Status":      func(r *store.Record) { r.Status += "s" },
		"Record.Reason":      func(r *store.Record) { r.Reason += "r" },
		"Record.Lease.Owner": func(r *store.Record) { r.Lease.Owner += "o" },
		"Record.Token":       func(r *store.Record) { r.Token.Refresh = telemed.NewSecret(r.Token.Refresh.Reveal() + "a") },
	} {
		tooLong := rec
		change(&tooLong)
		_, err := st.Put(t.Context(), tooLong)
		wantErr(t, "Put of a "+field+" of one byte too many", err, telemed.ErrInvalid)
		if fields := telemed.Fields(err); len(fields) != 1 || fields[0].Field != field {
			t.Errorf("Put of a %s of one byte too many: the error does not name it alone", field)
		}
	}
	noText := rec
	noText.Reason = "cut in the middle of \xc3"
	_, err := st.Put(t.Context(), noText)
	wantErr(t, "Put of a Reason that is not UTF-8", err, telemed.ErrInvalid)
	wantStored(t, st, rec)
}

func conflicts(t *testing.T, st store.TokenStore) {
	old := mustPut(t, st, small(key, "one"))
	current := old
	current.Token.Access = telemed.NewSecret("two")
	current = mustPut(t, st, current)
	for name, revision := range map[string]string{
		"the revision before": old.Revision, "no revision": "", "a made-up revision": "x", "a prefix": current.Revision[:len(current.Revision)-1],
		"other case": swapCase(current.Revision), "a padded revision": current.Revision + " ",
	} {
		if revision == current.Revision {
			continue
		}
		loser := small(key, "three")
		loser.Revision = revision
		got, err := st.Put(t.Context(), loser)
		wantErr(t, "Put over "+name, err, telemed.ErrConflict)
		if got != "" {
			t.Errorf("Put over %s returned a revision with its error", name)
		}
		wantStored(t, st, current)
	}
}

func swapCase(text string) string {
	return strings.Map(func(r rune) rune {
		if upper := strings.ToUpper(string(r)); upper != string(r) {
			return []rune(upper)[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, text)
}

// revisions guards against counters: whoever read a record, slept while it was
// deleted and created anew, and writes, must not hit the new one.
func revisions(t *testing.T, st store.TokenStore) {
	seen := map[string]bool{}
	other := mustPut(t, st, small(store.AccountID{Provider: "zoom", Subject: "other"}, "other"))
	seen[other.Revision] = true
	for range 4 {
		rec := small(key, "one")
		for range 3 {
			before := rec
			rec = mustPut(t, st, rec)
			if seen[rec.Revision] {
				t.Fatal("a revision came back")
			}
			seen[rec.Revision] = true
			if before.Revision != "" {
				_, err := st.Put(t.Context(), before)
				wantErr(t, "Put over a revision that is gone", err, telemed.ErrConflict)
			}
		}
		if err := st.Delete(t.Context(), key); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		_, err := st.Put(t.Context(), rec)
		wantErr(t, "Put over a deleted record", err, telemed.ErrConflict)
		wantAbsent(t, st, key)
	}
	wantStored(t, st, other)
}

// lookalikes are names that some databases take for one another.
var lookalikes = []string{
	// The last one is Cyrillic.
	"doc", "Doc", "DOC", "doc ", " doc", "doc\u00a0", "doc\u200b", "do\u0441",
	"caf\u00e9", "cafe\u0301", "cafe", // composed, decomposed, plain
	"stra\u00dfe", "strasse", "\u0131d", "id", "\uff11", "1", "01", "1.0",
	"a%", "a_", "ab", "a*", "a.b", "a:b", "a", "b", "a/b", "a//b", "a/b/", "null", "NULL", "\"doc\"", "'doc'",
}

// exactKeys holds pairs that collations, padding, normal forms and patterns take for one.
func exactKeys(t *testing.T, st store.TokenStore) {
	var kept []store.Record
	for i, subject := range lookalikes {
		kept = append(kept, mustPut(t, st, small(store.AccountID{Provider: "zoom", Subject: subject}, fmt.Sprint("token-", i))))
	}
	for i, key := range []store.AccountID{
		{Provider: "google", Subject: "doc"}, {Provider: "zoom-2", Subject: "doc"}, {Provider: "zoom_2", Subject: "doc"},
		{Provider: "zoom", Subject: "google:doc"}, {Provider: "a", Subject: "b:c"}, {Provider: "a-b", Subject: "c"},
	} {
		kept = append(kept, mustPut(t, st, small(key, fmt.Sprint("provider-", i))))
	}
	for _, rec := range kept {
		wantStored(t, st, rec)
	}
	if err := st.Delete(t.Context(), kept[0].ID); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantAbsent(t, st, kept[0].ID)
	for _, rec := range kept[1:] {
		wantStored(t, st, rec)
	}
}

// oddNames are names that a careless statement or path stumbles over.
var oddNames = []string{
	"a", "'; DROP TABLE tokens; --", `back\slash`, `"quoted"`, "`ticks`", "$where", "$1 ? :name @p1", "{{.}}", "../../etc", "/", ".", "..",
	"doctor@hospital.example", "%00", "\ufffd", "\u202eright to left", "नमस्ते", "医生",
}

func subjects(t *testing.T, st store.TokenStore) {
	for i, subject := range append([]string{
		strings.Repeat("x", 255), strings.Repeat("é", 127) + "x", strings.Repeat("\U0001f600", 63),
	}, oddNames...) {
		rec := small(store.AccountID{Provider: strings.Repeat("p", 64), Subject: subject}, fmt.Sprint("token-", i))
		rec = mustPut(t, st, rec)
		wantStored(t, st, rec)
		wantStored(t, st, mustPut(t, st, rec))
		if err := st.Delete(t.Context(), rec.ID); err != nil {
			t.Errorf("Delete(%v): %v", rec.ID, err)
		}
		wantAbsent(t, st, rec.ID)
	}
}

func invalidKeys(t *testing.T, st store.TokenStore) {
	for name, key := range map[string]store.AccountID{
		"zero": {}, "no provider": {Subject: "doc"}, "no subject": {Provider: "zoom"},
		"provider in capitals": {Provider: "Zoom", Subject: "doc"}, "provider with a colon": {Provider: "zoom:x", Subject: "doc"},
		"provider of 65 bytes": {Provider: strings.Repeat("p", 65), Subject: "doc"},
		"subject of 256 bytes": {Provider: "zoom", Subject: strings.Repeat("x", 256)},
		"subject not UTF-8":    {Provider: "zoom", Subject: "doc\xff"},
		"subject with NUL":     {Provider: "zoom", Subject: "doc\x00"},
		"subject with newline": {Provider: "zoom", Subject: "doc\n"},
	} {
		_, err := st.Get(t.Context(), key)
		wantErr(t, "Get: "+name, err, telemed.ErrInvalid)
		_, err = st.Put(t.Context(), small(key, "one"))
		wantErr(t, "Put: "+name, err, telemed.ErrInvalid)
		wantErr(t, "Delete: "+name, st.Delete(t.Context(), key), telemed.ErrInvalid)
	}
}

func aliasing(t *testing.T, st store.TokenStore) {
	rec := full(key)
	revision, err := st.Put(t.Context(), rec)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	wantEqual(t, rec, full(key)) // Put changes nothing of its caller's
	want := full(key)
	want.Revision = revision

	rec.Token.Scopes[0], rec.Token.Extra["api_url"], rec.Token.Extra["new"] = "changed", "changed", "changed"
	wantStored(t, st, want)
	got := mustGet(t, st, key)
	got.Token.Scopes[0], got.Token.Extra["api_url"], got.Token.Extra["new"] = "changed", "changed", "changed"
	wantStored(t, st, want)
	if lister, ok := st.(store.Lister); ok {
		for got, err := range lister.List(t.Context(), store.Filter{}) {
			if err != nil {
				t.Fatalf("List: %v", err)
			}
			got.Token.Scopes[0], got.Token.Extra["api_url"] = "changed", "changed"
		}
		wantStored(t, st, want)
	}
}

func contexts(t *testing.T, st store.TokenStore) {
	rec := mustPut(t, st, small(key, "one"))
	ended := cancelled(t)
	_, err := st.Get(ended, key)
	wantErr(t, "Get with an ended context", err, context.Canceled)
	changed := rec
	changed.Token.Access = telemed.NewSecret("two")
	_, err = st.Put(ended, changed)
	wantErr(t, "Put with an ended context", err, context.Canceled)
	other := store.AccountID{Provider: "zoom", Subject: "doctor-2"}
	_, err = st.Put(ended, small(other, "one"))
	wantErr(t, "Put of a new record with an ended context", err, context.Canceled)
	wantErr(t, "Delete with an ended context", st.Delete(ended, key), context.Canceled)
	wantStored(t, st, rec)
	wantAbsent(t, st, other)

	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = st.Get(expired, key)
	wantErr(t, "Get after the deadline", err, context.DeadlineExceeded)
}
