// Package wiretest is a small server that speaks MongoDB's wire protocol, as much of it
// as this module's stores need, so that they are proved with the real driver and with
// faults that no real server makes on demand.
//
// It is one replica-set primary that keeps documents in memory. Each command is
// applied under one lock, so that compare-and-set is atomic, and retryable writes are
// remembered by session and transaction number, as a real server does. A transaction sees
// the documents as they were when it began, and conflicts as on a real server; it does
// not make others wait, as a real one may. What it does not know (an operator, an option
// that changes a result) it refuses: it never guesses.
//
//	srv, err := wiretest.Start()
//	client, err := mongo.Connect(options.Client().ApplyURI(srv.URI()))
package wiretest
