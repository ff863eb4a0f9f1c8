package mongostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store/durable"
)

// Tx is a transaction of [Store.InTx]: a durable.Store whose rows are written if and only
// if the application's own documents are. It is used by one goroutine, until the function
// ends that it was given to.
type Tx struct {
	rows    *Rows
	session *mongo.Session
	lost    map[durable.ID]bool // rows whose last Put has lost a race
}

var _ durable.Store = (*Tx)(nil)

// Context returns ctx with the transaction in it, for the application's own statements:
//
//	_, err := appointments.InsertOne(tx.Context(ctx), appointment)
//
// What is given another context is not part of the transaction.
func (t *Tx) Context(ctx context.Context) context.Context {
	return mongo.NewSessionContext(ctx, t.session)
}

// Get implements durable.Store.
func (t *Tx) Get(ctx context.Context, id durable.ID) (durable.Item, error) {
	return t.rows.Get(t.Context(ctx), id)
}

// Put implements durable.Store.
func (t *Tx) Put(ctx context.Context, item durable.Item) (string, error) {
	revision, err := t.rows.Put(t.Context(ctx), item)
	if err == nil {
		delete(t.lost, item.ID)
	} else if errors.Is(err, telemed.ErrConflict) {
		t.lost[item.ID] = true
	}
	return revision, err
}

// Due implements durable.Store. It is not part of the transaction.
func (t *Tx) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	return t.rows.Due(ctx, q)
}

// txTries is how many races in a row InTx may lose before it gives up.
const txTries = 20

// InTx begins a transaction, calls do, and commits if do returns nil, else aborts it and
// returns do's error. One that matches mongo.ErrNoDocuments matches telemed.ErrNotFound
// too. The server must be a replica set, or a mongos.
//
// It does all that again, up to twenty times while ctx lives, if somebody else was faster:
// do's error matches telemed.ErrConflict after a Put of the Tx has lost a race, or the
// server says that the transaction may be tried again. A telemed.ErrConflict by which do
// means something else is returned at once. If all tries are lost, it is
// telemed.ErrUnavailable. So do has no effects outside the transaction, and wraps the
// errors that it returns with %w.
//
// If nobody knows whether the commit happened, the error matches telemed.ErrAmbiguous.
func (s *Store) InTx(ctx context.Context, do func(tx *Tx) error) error {
	for n := range txTries {
		again, err := s.rows.inTx(ctx, do)
		if !again {
			return err
		}
		if ended := wait.For(ctx, wait.Jitter(min(10*time.Millisecond<<min(n, 10), time.Second))); ended != nil {
			return fmt.Errorf("mongostore: InTx: %w", ended)
		}
	}
	return fmt.Errorf("mongostore: InTx: others were faster, again and again: %w", telemed.ErrUnavailable)
}

// inTx is one try. again reports whether another one is worth it: nothing was written.
func (r *Rows) inTx(ctx context.Context, do func(tx *Tx) error) (again bool, err error) {
	session, err := r.collection.Database().Client().StartSession()
	if err != nil {
		return false, unavailable("InTx", err)
	}
	defer session.EndSession(context.WithoutCancel(ctx)) // also after a panic; it aborts what is open
	if err := session.StartTransaction(); err != nil {
		return false, unavailable("InTx", err)
	}
	tx := &Tx{rows: r, session: session, lost: map[durable.ID]bool{}}
	err = do(tx)
	switch {
	case err != nil:
		again, err = isTransient(err) || len(tx.lost) > 0 && errors.Is(err, telemed.ErrConflict), notFound(err)
	case ctx.Err() != nil:
		err = unavailable("InTx", context.Cause(ctx))
	default:
		return r.commit(ctx, session)
	}
	_ = session.AbortTransaction(context.WithoutCancel(ctx))
	return again, err
}

// commit is repeated while its outcome is not known: the server knows a commit again.
func (r *Rows) commit(ctx context.Context, session *mongo.Session) (again bool, err error) {
	for range 3 {
		if err = session.CommitTransaction(context.WithoutCancel(ctx)); err == nil {
			return false, nil
		}
		if isTransient(err) {
			return true, nil
		}
	}
	return false, ambiguous("InTx", err)
}

// isTransient reports whether the server says that the transaction may be tried again.
func isTransient(err error) bool {
	labeled, ok := errors.AsType[mongo.LabeledError](err)
	return ok && labeled.HasErrorLabel(transientTransaction)
}

// notFound has the driver's error for a document that is not there match ours.
func notFound(err error) error {
	if errors.Is(err, mongo.ErrNoDocuments) {
		return fault.Tagged(telemed.ErrNotFound, err)
	}
	return err
}
