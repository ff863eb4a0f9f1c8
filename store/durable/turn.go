package durable

import (
	"context"
	"time"
)

// turn is whose turn it is with a row, among the jobs of this process. There are two for a
// moment if a row is leased again while the job that gave it back is leaving, and for
// longer if one stood still until its lease was dead.
type turn struct {
	free chan struct{} // holds a value while it is nobody's
	jobs int
}

// newJob returns the job of a row that was leased. It must run.
func (r *Runner) newJob(item Item, begin time.Time) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.mine[item.ID]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		r.mine[item.ID] = t
	}
	t.jobs++
	return &job{
		runner: r, kind: r.cfg.Kinds[item.ID.Kind], owners: []string{item.Lease.Owner}, due: item.Due, item: item, begin: begin, turn: t,
	}
}

// has reports whether the row is in this process's hands.
func (r *Runner) has(id ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mine[id] != nil
}

// enter waits until no other job of this process has the row, at most for half of the
// lease, and reports whether that is so.
func (j *job) enter(ctx context.Context) bool {
	select {
	case <-j.turn.free:
		return true
	default:
	}
	timer := time.NewTimer(time.Until(j.begin.Add(j.item.Lease.TTL / 2)))
	defer timer.Stop()
	select {
	case <-j.turn.free:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (j *job) leave(entered bool) {
	if entered {
		j.turn.free <- struct{}{}
	}
	j.runner.mu.Lock()
	defer j.runner.mu.Unlock()
	if j.turn.jobs--; j.turn.jobs == 0 {
		delete(j.runner.mine, j.item.ID)
	}
}
