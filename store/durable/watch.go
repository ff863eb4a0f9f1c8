package durable

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
)

// watcher tells dead leases from living ones: those that it has seen stand still for the
// time that is written in them, looking all the while.
type watcher struct {
	runner *Runner
	seen   map[ID]sighting
	looked time.Time // when it looked last, successfully
}

// sighting is since when a lease has stood still: who holds it gives it a new owner with
// each write. What others write to the row is no sign of life.
type sighting struct {
	lease Lease
	since time.Time
}

// watch takes over what dead processes hold, until ctx ends. Its jobs are added to all.
func (r *Runner) watch(ctx context.Context, all *sync.WaitGroup) {
	w := &watcher{runner: r, seen: map[ID]sighting{}}
	for wait.For(ctx, w.pause()) == nil {
		dead, err := w.look(ctx)
		if err != nil {
			if ctx.Err() == nil {
				r.cfg.Logger.Warn("durable: leases cannot be watched", slog.Any("error", err))
			}
			continue
		}
		for _, held := range dead {
			w.takeOver(ctx, held, all)
		}
	}
}

// pause is an eighth of the TTL, ± 20 percent: several watchers do not look together.
func (w *watcher) pause() time.Duration { return jittered(w.runner.cfg.LeaseTTL / 8) }

// look returns the leases that are dead. A look that fails, or that comes much later than
// it should, has nothing to say of the time before it.
func (w *watcher) look(ctx context.Context) (dead []Held, err error) {
	begin := time.Now()
	held, err := w.runner.leases(ctx)
	if err != nil {
		w.seen = map[ID]sighting{}
		return nil, err
	}
	if begin.Sub(w.looked) > w.runner.cfg.LeaseTTL/2 {
		w.seen = map[ID]sighting{}
	}
	w.looked = begin
	read := time.Now()
	now := make(map[ID]sighting, len(held))
	for _, h := range held {
		if w.runner.has(h.ID) {
			continue
		}
		s, known := w.seen[h.ID]
		if !known || s.lease != h.Lease {
			s = sighting{h.Lease, read} // it may have been written just before
		}
		now[h.ID] = s
		if begin.Sub(s.since) >= h.Lease.TTL {
			dead = append(dead, h)
		}
	}
	w.seen = now
	rand.Shuffle(len(dead), func(i, j int) { dead[i], dead[j] = dead[j], dead[i] })
	return dead, nil
}

// takeOver works a row whose lease is dead, if nobody else was faster. The attempt that did
// not come to an end is counted before anything of the application is called: that may
// have ended the process.
func (w *watcher) takeOver(ctx context.Context, held Held, all *sync.WaitGroup) {
	r := w.runner
	select {
	case <-r.free:
	case <-ctx.Done():
		return
	}
	j, err := r.leaseOne(ctx, held.ID, func(item *Item) bool {
		item.Attempts++
		return item.Lease == held.Lease
	})
	if j == nil {
		r.release(1)
		if err != nil && !errors.Is(err, telemed.ErrConflict) && !errors.Is(err, telemed.ErrNotFound) && ctx.Err() == nil {
			r.cfg.Logger.Warn("durable: lease cannot be taken over", slog.Any("error", err))
		}
		return
	}
	r.cfg.Logger.Warn("durable: lease of a silent process taken over", slog.Any("row", j.item))
	j.died = true
	all.Go(func() {
		defer r.release(1)
		j.run(ctx)
	})
}

// leases returns what is leased.
func (r *Runner) leases(ctx context.Context) ([]Held, error) {
	if lister, ok := r.cfg.Store.(LeaseLister); ok {
		return lister.Leases(ctx, r.versions)
	}
	ids, err := r.cfg.Store.Due(ctx, Query{Kinds: r.versions, Limit: MaxLimit, Leased: true})
	if err != nil {
		return nil, err
	}
	held := make([]Held, 0, len(ids))
	for _, id := range ids {
		item, err := r.cfg.Store.Get(ctx, id)
		switch {
		case errors.Is(err, telemed.ErrNotFound), errors.Is(err, telemed.ErrDecrypt):
		case err != nil:
			return nil, err
		case item.Lease.Owner != "":
			held = append(held, Held{item.ID, item.Revision, item.Lease})
		}
	}
	return held, nil
}

// shuffledFrom returns ids in a random order, beginning at a random place, so that
// processes that read the same page do not want the same rows.
func shuffledFrom(ids []ID, wanted int) []ID {
	if spare := len(ids) - wanted; spare > 0 {
		begin := rand.IntN(spare + 1)
		ids = slices.Concat(ids[begin:], ids[:begin])
		first := ids[:wanted]
		rand.Shuffle(wanted, func(i, j int) { first[i], first[j] = first[j], first[i] })
	}
	return ids
}
