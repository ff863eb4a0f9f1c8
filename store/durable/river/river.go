// Package river has the workers of River, a queue of jobs in PostgreSQL, drive durable
// rows: for an application that has River's pages, metrics and alerts already, or so many
// rows that polling is not enough. The rows stay what they are; a job says that one is
// due.
//
//	runner, err := durable.NewRunner(durable.RunnerConfig{
//		Store: st.Rows(), Kinds: kinds, PollEvery: river.PollEvery,
//	})
//	...
//	workers := riverqueue.NewWorkers() // of github.com/riverqueue/river
//	riverqueue.AddWorker(workers, river.NewWorker[pgx.Tx](runner))
//	...
//	go runner.Run(ctx) // beside River's client
//
// Whoever makes a row due says so in the same transaction:
//
//	err = st.InTx(ctx, func(tx *sqlstore.Tx) error {
//		item, err := durable.Change(ctx, tx, id, change)
//		if err != nil {
//			return err
//		}
//		_, err = client.InsertTx(ctx, tx.Tx, river.Job(item), nil) // riverdatabasesql
//		return err
//	})
//
// # Why the Runner runs too
//
// A job that is lost costs nothing but time. River gives a killed worker's job to another
// one after an hour, and a killed process may have written a row without its job. The
// Runner takes over what dead processes hold, and finds within [PollEvery] what has no
// job.
//
// # Speed
//
// River looks every five seconds at what is scheduled: what falls due sooner than that
// waits for it.
//
// A step under River is three round trips for the row beside River's own. The Runner
// alone claims many rows at once. Four processes of it with 100 workers each, on two cores
// that other work shared, made 2,400 steps a second, and as many of River's 5,000 jobs
// that do nothing: a ratio of 0.47, and of 0.24 to 0.41 with 32 workers. River pays off by
// what it shows and not by its speed.
package river

import (
	"context"
	"errors"
	"time"

	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// PollEvery is for durable.RunnerConfig: rows that have no job wait that long.
const PollEvery = time.Minute

// Args are a job: a row is due. Due belongs to what makes a job unique. Without it, River
// would keep the job that is scheduled for tomorrow, or that runs just now, and drop the
// one that says that the row has changed.
type Args struct {
	// RowKind and Name are the row's ID.
	RowKind string `json:"row_kind" river:"unique"`
	Name    string `json:"name"     river:"unique"`
	// Due is when the row is due, in Unix milliseconds.
	Due int64 `json:"due" river:"unique"`
}

// Job returns the job of a row, to be inserted by the transaction that wrote the row. A
// row that is not due needs none.
func Job(item durable.Item) Args { return job(item.ID, item.Due) }

func job(id durable.ID, due time.Time) Args {
	return Args{RowKind: id.Kind, Name: id.Name, Due: due.UnixMilli()}
}

// Kind implements river.JobArgs.
func (Args) Kind() string { return "telemed_row" }

// InsertOpts implements river.JobArgsWithInsertOpts: the job is scheduled for when the row
// is due, unless it is, and there is one for that moment.
func (a Args) InsertOpts() riverqueue.InsertOpts {
	opts := riverqueue.InsertOpts{
		UniqueOpts: riverqueue.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
			rivertype.JobStateRetryable, rivertype.JobStateScheduled,
		}},
	}
	// What is scheduled for a time that has passed waits for River's next look at it.
	if due := time.UnixMilli(a.Due); due.After(time.Now()) {
		opts.ScheduledAt = due
	}
	return opts
}

// Worker works jobs by Runner.Step. TTx is the transaction of River's driver: pgx.Tx, or
// *sql.Tx.
type Worker[TTx any] struct {
	riverqueue.WorkerDefaults[Args]
	runner *durable.Runner
}

var _ riverqueue.Worker[Args] = (*Worker[any])(nil)

// NewWorker returns a Worker for the kinds of runner, which runs in this process too.
func NewWorker[TTx any](runner *durable.Runner) *Worker[TTx] { return &Worker[TTx]{runner: runner} }

// Timeout implements river.Worker: there is none, because leases bound each effect.
func (*Worker[TTx]) Timeout(*riverqueue.Job[Args]) time.Duration { return -1 }

// Work implements river.Worker. It does what is due about the row and inserts the job for
// when more is. A row in other hands is looked at again when their lease may be over, and
// a job that came too early waits.
func (w *Worker[TTx]) Work(ctx context.Context, j *riverqueue.Job[Args]) error {
	id := durable.ID{Kind: j.Args.RowKind, Name: j.Args.Name}
	next, err := w.runner.Step(ctx, id)
	switch {
	case errors.Is(err, telemed.ErrNotFound): // erased
		return nil
	case errors.Is(err, telemed.ErrConflict):
		return snooze(next)
	case err != nil:
		return err
	case next.IsZero():
		return nil
	case next.UnixMilli() == j.Args.Due: // River would take the next job for this one
		return snooze(next)
	}
	_, err = riverqueue.ClientFromContext[TTx](ctx).Insert(ctx, job(id, next), nil)
	return err
}

// snooze has the job come back at a time, and not at once: after a lost race somebody else
// is at work.
func snooze(at time.Time) error {
	const least = 100 * time.Millisecond
	return riverqueue.JobSnooze(max(time.Until(at), least))
}
