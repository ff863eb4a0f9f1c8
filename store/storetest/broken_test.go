package storetest_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/suitetest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/storetest"
)

// brokenTokens are stores with one fault each, and the clause that must find it.
var brokenTokens = map[string]struct {
	clause string
	faults tokenFaults
}{
	"keeps seconds":                            {"times", tokenFaults{change: func(r *store.Record) { r.UpdatedAt = r.UpdatedAt.Truncate(time.Second) }}},
	"drops what has expired":                   {"times", tokenFaults{ttl: true}},
	"forgets the taint":                        {"every field", tokenFaults{change: func(r *store.Record) { r.Lease.Tainted = false }}},
	"forgets how long a lease lives":           {"every field", tokenFaults{change: func(r *store.Record) { r.Lease.TTL = 0 }}},
	"counts a lease's milliseconds in 32 bits": {"every field", tokenFaults{change: narrowTTL}},
	"shares maps":                              {"nothing is shared with the caller", tokenFaults{share: true}},
	"ignores the context":                      {"context", tokenFaults{noContext: true}},
	"takes any key":                            {"invalid keys", tokenFaults{anyKey: true}},
	"reads a copy that lags":                   {"get what was put", tokenFaults{lags: true}},
	"has no bounds":                            {"bounds", tokenFaults{noBounds: true}},
	"counts bounds in characters":              {"bounds", tokenFaults{characters: true}},
	"cuts a token at 40,000 bytes":             {"bounds", tokenFaults{change: cutToken(40_000)}},
	"cuts a token by a byte":                   {"bounds", tokenFaults{change: cutToken(len(longestAccess()) - 1)}},
	"cuts a refresh token at 40,000 bytes":     {"bounds", tokenFaults{change: func(r *store.Record) { r.Token.Refresh = telemed.NewSecret(cutAt(40_000)(r.Token.Refresh.Reveal())) }}},
	"cuts what is extra at 65,000 bytes":       {"bounds", tokenFaults{change: cutExtra}},
	"cuts a reason at 255 bytes":               {"bounds", tokenFaults{change: func(r *store.Record) { r.Reason = cutAt(255)(r.Reason) }}},
	"cuts a reason by a byte":                  {"bounds", tokenFaults{change: func(r *store.Record) { r.Reason = cutAt(store.MaxReason - 1)(r.Reason) }}},
	"cuts a status by a byte":                  {"bounds", tokenFaults{change: func(r *store.Record) { r.Status = store.Status(cutAt(31)(string(r.Status))) }}},
	"cuts an owner by a byte":                  {"bounds", tokenFaults{change: func(r *store.Record) { r.Lease.Owner = cutAt(63)(r.Lease.Owner) }}},
	"cuts subjects at 254 bytes":               {"subjects of every kind", tokenFaults{fold: cutAt(254)}},
	"overwrites":                               {"conflicts write nothing", tokenFaults{overwrite: true}},
	"takes the beginning of a revision for it": {"conflicts write nothing", tokenFaults{sameRevision: func(a, b string) bool { return a == b || b != "" && strings.HasPrefix(a, b) }}},
	"folds revisions":                          {"conflicts write nothing", tokenFaults{sameRevision: strings.EqualFold}},
	"finds the revision under any account":     {"conflicts write nothing", tokenFaults{anyAccount: true}},
	"remembers a deleted record's revision":    {"delete", tokenFaults{tombstone: true}},
	"refuses to delete what is not there":      {"absent", tokenFaults{strictDelete: true}},

	// Keys.
	"folds case":                          {"keys are exact", tokenFaults{fold: strings.ToLower}},
	"folds case (2)":                      {"get what was put", tokenFaults{fold: strings.ToLower}},
	"pads":                                {"keys are exact", tokenFaults{fold: trimRight}},
	"pads (2)":                            {"every field", tokenFaults{fold: trimRight}},
	"takes every emoji for the same":      {"keys are exact", tokenFaults{fold: emoji}},
	"keys are parts of an address":        {"keys are exact", tokenFaults{fold: unescaped}},
	"joins provider and subject by -":     {"keys are exact", tokenFaults{joins: "-"}},
	"composes":                            {"keys are exact", tokenFaults{fold: composed}},
	"reads by a pattern":                  {"get what was put", tokenFaults{readsLike: true}},
	"deletes by a pattern":                {"delete", tokenFaults{deletesLike: true}},
	"deletes what begins so":              {"delete", tokenFaults{deletesPrefix: true}},
	"deletes a doctor with all providers": {"delete", tokenFaults{deletesSubject: true}},
	"joins provider and subject":          {"delete", tokenFaults{joins: "none"}},
	"keeps one record on its way":         {"get what was put", tokenFaults{scratch: true}},
	"one revision for the whole place":    {"get what was put", tokenFaults{wholePlace: true}},
	"one writer at a time, or a conflict": {"many accounts at once", tokenFaults{tryLock: true}},

	// Revisions.
	"counts revisions for each record":      {"a revision never comes back", tokenFaults{revision: countEach}},
	"counts revisions in each handle":       {"a revision never comes back", tokenFaults{revision: countHandle}},
	"counts revisions anew after a restart": {"a revision never comes back", tokenFaults{revision: countLife}},
	"revisions of 12 bits":                  {"many accounts at once", tokenFaults{revision: func(*tokensHandle, store.Record, store.Record) string { return oneOf(1 << 12) }}},
	"a revision is the time in milliseconds": {"many accounts at once", tokenFaults{slow: 2 * time.Millisecond, revision: func(*tokensHandle, store.Record, store.Record) string {
		return fmt.Sprint(time.Now().UnixMilli())
	}}},
	"a revision is a hash of the record": {"get what was put", tokenFaults{revision: func(_ *tokensHandle, rec, _ store.Record) string {
		data, _ := store.EncodeToken(rec.Token)
		return fmt.Sprint(rec.Status, rec.Reason, rec.UpdatedAt.UnixMilli(), rec.ID.Subject, string(data))
	}}},

	// Races.
	"compares, then sets":                  {"no increment is lost", tokenFaults{twoSteps: true}},
	"compares under a lock of its process": {"no increment is lost", tokenFaults{ownLock: true}},
	"creates over what exists":             {"one of many creates", tokenFaults{replaces: true}},
	"brings back the deleted":              {"a refresh and a disconnect", tokenFaults{upsert: true}},
	"writes a record in two steps":         {"no increment is lost", tokenFaults{torn: true}},
	"compares with what it has read":       {"conflicts write nothing", tokenFaults{caches: true, comparesCache: true}},
	"compares with what it has read (2)":   {"no increment is lost", tokenFaults{caches: true, comparesCache: true}},

	// Handles and lives.
	"a handle sees nothing of another":            {"get what was put", tokenFaults{apart: true}},
	"a cache that other handles do not see":       {"get what was put", tokenFaults{caches: true}},
	"a cache, and a record is deleted":            {"delete", tokenFaults{caches: true}},
	"its Close closes other handles":              {"get what was put", tokenFaults{closesAll: true}},
	"empties the place when it is opened":         {"get what was put", tokenFaults{emptiesPlace: true}},
	"remembers that there was nothing":            {"absent", tokenFaults{cachesAbsence: true}},
	"writes when it is closed":                    {"get what was put", tokenFaults{writesLate: true}},
	"nothing outlives a restart":                  {"get what was put", tokenFaults{forgets: true}},
	"a Put over a record is gone after a restart": {"get what was put", tokenFaults{forgetsReplace: true}},
	"a Delete is undone by a restart":             {"delete", tokenFaults{forgetsDelete: true}},
	"nothing outlives a restart (2)":              {"every field", tokenFaults{forgets: true}},

	// Lists.
	"lists the deleted":                     {"list", tokenFaults{lists: listBy{deleted: true}}},
	"lists by an old status":                {"list", tokenFaults{lists: listBy{oldStatus: true}}},
	"lists by a part of the provider":       {"list", tokenFaults{lists: listBy{prefix: true}}},
	"lists what its own handle has written": {"list", tokenFaults{lists: listBy{own: true}}},
	"lists only what this life has written": {"list", tokenFaults{lists: listBy{life: true}}},
	"lists status by a pattern":             {"list", tokenFaults{lists: listBy{statusLike: true}}},
	"lists whatever the case of a status":   {"list", tokenFaults{lists: listBy{statusFold: true}}},
	"lists tokens that are cut":             {"list", tokenFaults{lists: listBy{change: cutToken(4000)}}},
	"list stops at 300":                     {"list of many", tokenFaults{lists: listBy{limit: 300}}},
	"list stops at 1000":                    {"list of many", tokenFaults{lists: listBy{limit: 1000}}},
	"list stops at 2000":                    {"list of many", tokenFaults{lists: listBy{limit: 2000}}},
	"list ends at a page that has nothing":  {"list of many", tokenFaults{lists: listBy{page: 100, endsAtEmpty: true}}},
	"list goes on after a moment":           {"list of many", tokenFaults{lists: listBy{page: 100, byMoment: true}}},
	"list meets what was written again":     {"list of many", tokenFaults{lists: listBy{page: 100, byWrite: true}}},
	"writes nothing while it lists":         {"list of many", tokenFaults{lists: listBy{locks: true}}},
}

func narrowTTL(r *store.Record) {
	r.Lease.TTL = time.Duration(int32(r.Lease.TTL.Milliseconds())) * time.Millisecond
}

// longestAccess is the longest access token that fits, beside nothing.
func longestAccess() string {
	data, _ := store.EncodeToken(store.Token{Access: telemed.NewSecret("a"), Refresh: telemed.NewSecret("r-token")})
	return strings.Repeat("a", store.MaxToken-len(data)+1)
}

func cutToken(n int) func(*store.Record) {
	return func(r *store.Record) { r.Token.Access = telemed.NewSecret(cutAt(n)(r.Token.Access.Reveal())) }
}

func cutExtra(r *store.Record) {
	for name, value := range r.Token.Extra {
		r.Token.Extra[name] = cutAt(65_000)(value)
	}
}

// emoji has one for all, as some collations do.
func emoji(text string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff {
			return 0xfffd
		}
		return r
	}, text)
}

func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// oneOf draws a revision from n. A clause that must find that one came back writes so often
// that it is certain: two hundred of 2⁸ or four hundred of 2¹², one miss in 10⁸.
func oneOf(n int) string { return fmt.Sprintf("%03x", rand.N(n)) }

// TestBroken is the child's side of TestFindsWhatIsBroken.
func TestBroken(t *testing.T) {
	name := suitetest.Broken(t)
	if b, ok := brokenTokens[name]; ok {
		storetest.RunShared(t, func(*testing.T) func() store.TokenStore { return newBrokenTokens(b.faults) })
		return
	}
	if b, ok := brokenRows[name]; ok {
		storetest.RunDurable(t, func(*testing.T) func() durable.Store { return newBrokenRows(b.faults) })
		return
	}
	storetest.RunClaims(t, func(*testing.T) func() store.Claims { return newBrokenClaims(brokenClaims[name].faults) })
}

// TestFindsWhatIsBroken runs the suites over broken stores in other processes, where they
// may fail.
func TestFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	clauses := map[string]string{}
	for name, b := range brokenTokens {
		clauses[name] = b.clause
	}
	for name, b := range brokenClaims {
		clauses[name] = b.clause
	}
	for name, b := range brokenRows {
		clauses[name] = b.clause
	}
	suitetest.Finds(t, clauses)
}
