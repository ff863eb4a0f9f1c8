// Package durable gets things done that must not be forgotten: one row in the
// application's own database for each, which outlives every process.
//
// A row says what is wanted and what is known. A [Kind]'s Plan, a pure function, says
// what follows. A [Runner] leases rows that are due, does one [Effect] at a time, and
// writes down what came of it as a [Fact]. Any number of processes run one over the same
// rows, and each of them may be killed or frozen at any moment.
//
//	kinds := map[string]durable.Kind{"reminder": {Version: 1, Plan: planReminder}}
//	runner, err := durable.NewRunner(durable.RunnerConfig{Store: rows, Kinds: kinds})
//	err = runner.Run(ctx) // until ctx ends; then what is under way is finished
//
// What holds:
//
//   - A row is in one worker's hands at a time. Whoever holds it begins no effect, and
//     believes none, once half of its lease is over by its own clocks.
//   - A lease is dead when a watcher has seen it stand still for the time that is written
//     in it, whatever others write to the row meanwhile. No two machines' clocks are
//     compared to say so; when a row is due, each reads its own.
//   - What an effect found out is merged into the row as it is by then. It is never
//     dropped because somebody else has written meanwhile.
//   - A death between an effect and its fact has the effect happen again, or leaves it
//     unknown if the row said before that it was about to happen; see Effect.Ahead. That
//     is where an idempotency key or evidence is needed, and nowhere else.
//   - An attempt counts once it has failed, in the write that says so. One that ran out of
//     its half of the lease has failed too. What was not begun counts as none.
//   - A death counts as an attempt, in the write that takes the dead lease over: it may have
//     been the effect that ended the process. So an effect that does so each time is stuck
//     in the end, as one that fails each time. A deploy that lets Run return takes no
//     attempt away. What else was under way in a process that died is gone on with at once;
//     the attempt that it lost is forgotten with the next success.
//   - Nothing is dropped in silence. What cannot be done is stuck, and somebody is told.
//
// [Memory] keeps rows for tests and demonstrations, sqlstore.Rows and mongostore.Rows in
// a database. storetest.RunDurable checks a [Store] of your own, and [NewClaims] makes
// store.Claims of it.
package durable
