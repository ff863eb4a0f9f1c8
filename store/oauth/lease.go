package oauth

import (
	"time"

	"github.com/telemed-go/telemed/store"
)

// A lease is the right to spend an account's refresh token. It stands in the record, so
// that it is won by compare-and-set. What follows returns the record that is to be
// written; nothing is written here. The token stays as it is, but for a save.

// The reasons that a record gives for StatusReconnect.
const (
	reasonRejected = "the provider rejected the refresh token"
	reasonTainted  = reasonRejected + "; an earlier refresh may have succeeded without its answer reaching us"
)

// isOthers reports whether somebody else than owner holds the lease, alive or dead.
func isOthers(rec store.Record, owner string) bool {
	return rec.Lease.Owner != "" && rec.Lease.Owner != owner
}

// withOwner gives the lease to owner. tainted says that the token may be spent; it never
// unsays it.
func withOwner(rec store.Record, owner string, ttl time.Duration, tainted bool, now time.Time) store.Record {
	rec.Lease = store.Lease{
		Owner: owner, Until: millis(now.Add(ttl)), TTL: wholeMillis(ttl), Tainted: rec.Lease.Tainted || tainted,
	}
	return rec
}

// withoutOwner gives the lease back. The taint stays until a token is saved.
func withoutOwner(rec store.Record, tainted bool) store.Record {
	rec.Lease = store.Lease{Tainted: rec.Lease.Tainted || tainted}
	return rec
}

// withMark gives the lease back, and says that the doctor must connect again.
func withMark(rec store.Record, tainted bool, now time.Time) store.Record {
	rec = withoutOwner(rec, tainted)
	rec.Status, rec.Reason = store.StatusReconnect, reasonRejected
	if rec.Lease.Tainted {
		rec.Reason = reasonTainted
	}
	rec.UpdatedAt = millis(now)
	return rec
}

// withToken gives the lease back, whoever holds it, and has the new token, which owner
// bought. If its predecessor was presented twice, or is about to be, the new token may be
// dead for that: the taint stays, so that the record can say why. That is so
//
//   - if others have had the lease meanwhile, also if they have given it back;
//   - if tainted: owner took the lease over from somebody who may wake up and go on, or has
//     sent a request before of which nobody knows when it arrives.
//
// A taint from before, which the token has outlived, goes.
func withToken(rec store.Record, token store.Token, owner string, tainted bool, now time.Time) store.Record {
	othersHadIt := rec.Status == store.StatusReconnect || rec.Lease.Owner != owner
	spentAgain := tainted || rec.Lease.Tainted && othersHadIt
	rec.Token = token
	rec.Status, rec.Reason = store.StatusActive, ""
	rec.Lease = store.Lease{Tainted: spentAgain}
	rec.UpdatedAt = millis(now)
	return rec
}

// wholeMillis rounds up to what stores keep.
func wholeMillis(d time.Duration) time.Duration {
	whole := d.Truncate(time.Millisecond)
	if whole < d {
		whole += time.Millisecond
	}
	return whole
}
