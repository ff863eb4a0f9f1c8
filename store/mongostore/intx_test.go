package mongostore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
)

// desk is an application with appointments beside its rows.
type desk struct {
	*testing.T
	srv          *wiretest.Server
	st           *mongostore.Store
	appointments *mongo.Collection
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	srv := start(t)
	db := connect(t, srv.URI()).Database("hospital")
	st, err := mongostore.New(mongostore.Config{Database: db, InsecureClear: true})
	require.NoError(t, err)
	return &desk{t, srv, st, db.Collection("appointments")}
}

// book writes an appointment and its row.
func (d *desk) book(tx *mongostore.Tx, name string) error {
	ctx := d.Context()
	if _, err := d.appointments.InsertOne(tx.Context(ctx), bson.D{{Key: "_id", Value: name}}); err != nil {
		return err
	}
	_, err := durable.Change(ctx, tx, durable.ID{Kind: "visit", Name: name}, func(item *durable.Item) error {
		item.Due = time.Now()
		return nil
	})
	return err
}

// there reports whether an appointment and its row are there: both, or neither.
func (d *desk) there(name string) bool {
	d.Helper()
	err := d.appointments.FindOne(d.Context(), bson.D{{Key: "_id", Value: name}}).Err()
	_, rowErr := d.st.Rows().Get(d.Context(), durable.ID{Kind: "visit", Name: name})
	require.Equal(d, err == nil, rowErr == nil, "%v, %v", err, rowErr)
	return err == nil
}

func TestInTx(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx := t.Context()
	require.NoError(t, d.st.InTx(ctx, func(tx *mongostore.Tx) error {
		err := d.book(tx, "v-1")
		_, seen := tx.Get(ctx, visitID)
		require.NoError(t, seen, "the transaction sees what it has written")
		return err
	}))
	require.True(t, d.there("v-1"))

	own := errors.New("no such doctor")
	require.ErrorIs(t, d.st.InTx(ctx, func(tx *mongostore.Tx) error { return errors.Join(d.book(tx, "v-2"), own) }), own)
	require.PanicsWithValue(t, "mine", func() {
		_ = d.st.InTx(ctx, func(tx *mongostore.Tx) error { require.NoError(t, d.book(tx, "v-2")); panic("mine") })
	})
	require.False(t, d.there("v-2"))

	err := d.st.InTx(ctx, func(tx *mongostore.Tx) error {
		return fmt.Errorf("show: %w", d.appointments.FindOne(tx.Context(ctx), bson.D{{Key: "_id", Value: "x"}}).Err())
	})
	require.ErrorIs(t, err, telemed.ErrNotFound)
	require.ErrorIs(t, err, mongo.ErrNoDocuments)

	ended, cancel := context.WithCancel(ctx)
	err = d.st.InTx(ended, func(tx *mongostore.Tx) error { defer cancel(); return d.book(tx, "v-2") })
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous)
	require.False(t, d.there("v-2"))
}

// TestInTxTwoKindsOfConflict: a lost race is run again, what the application means is not.
func TestInTxTwoKindsOfConflict(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx := t.Context()
	tries := 0
	taken := fmt.Errorf("the minute is taken: %w", telemed.ErrConflict)
	require.ErrorIs(t, d.st.InTx(ctx, func(tx *mongostore.Tx) error { tries++; return errors.Join(d.book(tx, "v-1"), taken) }), taken)
	require.Equal(t, 1, tries)

	require.NoError(t, d.st.InTx(ctx, func(tx *mongostore.Tx) error { return d.book(tx, "v-1") }))
	id := durable.ID{Kind: "visit", Name: "v-1"}
	for name, say := range map[string]func(error) error{
		"as it is":       func(err error) error { return err },
		"in other words": func(error) error { return taken },
	} {
		tries = 0
		require.NoError(t, d.st.InTx(ctx, func(tx *mongostore.Tx) error {
			tries++
			item, err := tx.Get(ctx, id)
			require.NoError(t, err)
			if tries == 1 { // somebody else is faster
				_, err := d.st.Rows().Put(ctx, item)
				require.NoError(t, err)
			}
			if _, err = tx.Put(ctx, item); err != nil {
				return say(err)
			}
			return nil
		}), name)
		require.Equal(t, 2, tries, name)
	}
}

// TestInTxCommitThatIsNotAnswered is not begun again: nobody knows whether it happened.
func TestInTxCommitThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.srv.SetFault(func(c wiretest.Command) wiretest.Fault {
		if c.Name == "commitTransaction" {
			return wiretest.CutAfter
		}
		return wiretest.NoFault
	})
	tries := 0
	err := d.st.InTx(t.Context(), func(tx *mongostore.Tx) error { tries++; return d.book(tx, "v-1") })
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	require.Equal(t, 1, tries, "it may have happened")
	d.srv.SetFault(nil)
	require.True(t, d.there("v-1"))
}
