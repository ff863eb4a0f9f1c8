package durable

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
)

// write writes down what came of an effect together with what follows from it: the next
// effect, for which the lease is kept, or that the row is given back. It returns the
// effect; ok is false if the row is out of this worker's hands.
//
// It goes on for a lease's time, whatever happens to this lease meanwhile: what was found
// out is merged into the row as it is by then.
func (j *job) write(done outcome, more bool) (effect Effect, ok bool) {
	ctx, cancel := wait.Timeout(context.Background(), j.runner.cfg.LeaseTTL)
	defer cancel()
	for n := 0; ; n++ {
		next, effect, told := j.follow(done, more)
		if sameRow(next, j.item) {
			j.tell(told)
			return effect, effect.Do != nil
		}
		if j.owns(next) {
			next.Lease.Owner = rand.Text()
			j.owners = append(j.owners, next.Lease.Owner)
		}
		begin := time.Now()
		revision, err := j.runner.cfg.Store.Put(ctx, next)
		if errors.Is(err, telemed.ErrInvalid) && !isUnwritable(done.err) {
			done = outcome{effect: cmp.Or(done.effect, "plan"), err: &unwritable{err}, took: done.took}
			continue
		}
		landed := err == nil
		if landed {
			next.Revision = revision
			j.item = Kept(next)
		} else if !j.again(ctx, n, err) {
			return Effect{}, false
		}
		// A Put whose answer was lost may have happened. Plan must not be asked again then:
		// it would take what Ahead wrote for a death in the middle.
		if landed || sameRow(j.item, Kept(next)) {
			j.begin, j.due = begin, j.item.Due
			j.tell(told)
			return effect, effect.Do != nil
		}
	}
}

// owns reports whether item is under one of this job's leases.
func (j *job) owns(item Item) bool {
	return item.Lease.Owner != "" && slices.Contains(j.owners, item.Lease.Owner)
}

func sameRow(a, b Item) bool {
	return string(a.Data) == string(b.Data) && string(a.Audit) == string(b.Audit) && a.Due.Equal(b.Due) &&
		a.EraseAt.Equal(b.EraseAt) && a.Version == b.Version && a.Attempts == b.Attempts && a.Stuck == b.Stuck && a.Lease == b.Lease
}

// again reads the row anew after a Put that failed, and reports whether to try once more.
func (j *job) again(ctx context.Context, n int, cause error) bool {
	for {
		if wait.For(ctx, wait.Jitter(poll(n))) != nil {
			j.runner.cfg.Logger.Error("durable: what was found out cannot be written down",
				slog.Any("row", j.item), slog.Any("error", cause))
			return false
		}
		item, err := j.runner.cfg.Store.Get(ctx, j.item.ID)
		switch {
		case err == nil:
			j.item = item
			return true
		case errors.Is(err, telemed.ErrNotFound):
			return false
		}
		n++
	}
}
