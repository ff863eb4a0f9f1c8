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
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
	"github.com/telemed-go/telemed/store/mongostore"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
	"github.com/telemed-go/telemed/store/storetest"
)

// rowsHandle is a process's handle on the rows.
type rowsHandle struct {
	*mongostore.Rows
	handle handle
}

// Close ends the process.
func (r rowsHandle) Close() error { return r.handle.Close() }

func openRows(t *testing.T, uri string, cfg mongostore.Config) durable.Store {
	t.Helper()
	h := openHandle(t, uri, cfg)
	return rowsHandle{h.Rows(), h}
}

func TestRows(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t, store.NewKey())
	storetest.RunDurable(t, func(t *testing.T) func() durable.Store {
		uri := start(t).URI()
		return func() durable.Store { return openRows(t, uri, mongostore.Config{Seal: keys, SealStrict: true}) }
	})
}

var visitID = durable.ID{Kind: "visit", Name: "v-1"}

func rowsAt(t *testing.T, client *mongo.Client) *mongostore.Rows {
	t.Helper()
	st, err := mongostore.New(mongostore.Config{Database: client.Database("hospital"), InsecureClear: true})
	require.NoError(t, err)
	return st.Rows()
}

// TestRowsInTransactions has rows commit with an appointment, or not at all.
func TestRowsInTransactions(t *testing.T) {
	t.Parallel()
	client := connect(t, start(t).URI())
	rows := rowsAt(t, client)
	appointments := client.Database("hospital").Collection("appointments")
	session, err := client.StartSession()
	require.NoError(t, err)
	defer session.EndSession(t.Context())
	book := func(ctx context.Context, name string) error {
		if _, err := appointments.InsertOne(ctx, bson.D{{Key: "_id", Value: name}}); err != nil {
			return err
		}
		_, err := durable.Change(ctx, rows, durable.ID{Kind: "visit", Name: name}, func(item *durable.Item) error {
			item.Due = time.Now()
			return nil
		})
		return err
	}
	count := func() int64 {
		n, err := appointments.Find(t.Context(), bson.D{})
		require.NoError(t, err)
		var all []bson.Raw
		require.NoError(t, n.All(t.Context(), &all))
		return int64(len(all))
	}

	broken := errors.New("no such doctor")
	_, err = session.WithTransaction(t.Context(), func(ctx context.Context) (any, error) { return nil, errors.Join(book(ctx, "v-1"), broken) })
	require.ErrorIs(t, err, broken)
	_, err = rows.Get(t.Context(), visitID)
	require.ErrorIs(t, err, telemed.ErrNotFound)
	require.Zero(t, count())

	_, err = session.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
		err := book(ctx, "v-1")
		_, seen := rows.Get(t.Context(), visitID)
		require.ErrorIs(t, seen, telemed.ErrNotFound, "before the commit nobody else sees it")
		return nil, err
	})
	require.NoError(t, err)
	item, err := rows.Get(t.Context(), visitID)
	require.NoError(t, err)
	require.EqualValues(t, 1, count())

	// Somebody else writes meanwhile: the driver begins the transaction again.
	tries := 0
	_, err = session.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
		tries++
		return nil, errors.Join(func() error {
			_, err := durable.Change(ctx, rows, visitID, func(item *durable.Item) error {
				if tries == 1 {
					_, err := durable.Change(t.Context(), rows, visitID, func(item *durable.Item) error { item.Data = []byte("theirs"); return nil })
					require.NoError(t, err)
				}
				item.Audit = []byte("ours")
				return nil
			})
			return err
		}())
	})
	require.NoError(t, err)
	require.Equal(t, 2, tries)
	both, err := rows.Get(t.Context(), visitID)
	require.NoError(t, err)
	require.Equal(t, "theirs", string(both.Data))
	require.Equal(t, "ours", string(both.Audit))
	require.NotEqual(t, item.Revision, both.Revision)

	// What else a Runner does is outside of the transaction.
	require.NoError(t, session.StartTransaction())
	ctx := mongo.NewSessionContext(t.Context(), session)
	leased, _, err := rows.Lease(ctx, durable.Query{Kinds: map[string]int{"visit": 0}, By: time.Now(), Limit: 2}, "", durable.Lease{Owner: "x", TTL: time.Minute})
	require.NoError(t, err)
	require.Len(t, leased, 1)
	require.NoError(t, session.AbortTransaction(t.Context()))
	stays, err := rows.Get(t.Context(), visitID)
	require.NoError(t, err)
	require.Equal(t, "x", stays.Lease.Owner)
}

// TestRowsLoseAnswers settles each lost answer by the row, or says that it is unknown.
func TestRowsLoseAnswers(t *testing.T) {
	t.Parallel()
	for _, retry := range []bool{true, false} {
		for _, c := range []struct {
			name   string
			fault  wiretest.Fault
			landed bool // without the driver's help
		}{
			{"applied, then cut", wiretest.CutAfter, true}, {"cut before", wiretest.CutBefore, false}, {"at a member that stepped down", wiretest.NotPrimary, false},
		} {
			for _, command := range []string{"insert", "update", "findAndModify"} {
				t.Run(fmt.Sprintf("%s, %s, retryWrites=%t", command, c.name, retry), func(t *testing.T) {
					t.Parallel()
					srv := start(t)
					rows := rowsAt(t, connect(t, fmt.Sprintf("%s&retryWrites=%t", srv.URI(), retry)))
					item := durable.Item{ID: visitID, Tenant: "clinic", Due: time.UnixMilli(1_700_000_000_000)}
					var err error
					if command != "insert" {
						item.Revision, err = rows.Put(t.Context(), item)
						require.NoError(t, err)
					}
					srv.SetFault(once(command, c.fault))
					var revision string
					if command == "findAndModify" {
						q := durable.Query{Kinds: map[string]int{"visit": 0}, By: time.Now(), Limit: 5}
						items, _, leaseErr := rows.Lease(t.Context(), q, "", durable.Lease{Owner: "x", TTL: time.Minute})
						if err = leaseErr; err == nil {
							require.Len(t, items, 1)
							revision = items[0].Revision
						}
					} else {
						item.Data = []byte("after the fault")
						revision, err = rows.Put(t.Context(), item)
					}
					srv.SetFault(nil)
					require.Equal(t, 1, srv.Stats().Faults)
					stored, getErr := rows.Get(t.Context(), visitID)
					if !retry && !c.landed {
						require.ErrorIs(t, err, telemed.ErrAmbiguous)
						require.Zero(t, stored.Lease)
						require.Empty(t, stored.Data)
						return
					}
					require.NoError(t, err)
					require.NoError(t, getErr)
					require.Equal(t, revision, stored.Revision)
				})
			}
		}
	}
}

// TestRowsUnderFaults has a Runner's kind of work go on while answers are lost all the
// time: what the rows say in the end is what was done.
func TestRowsUnderFaults(t *testing.T) {
	t.Parallel()
	srv := start(t)
	rows := rowsAt(t, connect(t, srv.URI()+"&retryWrites=false"))
	const total, wanted = 20, 3
	for n := range total {
		_, err := rows.Put(t.Context(), durable.Item{ID: durable.ID{Kind: "visit", Name: fmt.Sprint(n)}, Due: time.Now(), Tenant: fmt.Sprint("clinic ", n%3)})
		require.NoError(t, err)
	}
	commands := 0
	srv.SetFault(func(command wiretest.Command) wiretest.Fault {
		if commands++; commands%11 != 0 {
			return wiretest.NoFault
		}
		return []wiretest.Fault{wiretest.CutAfter, wiretest.NotPrimary, wiretest.CutBefore}[commands/11%3]
	})
	kind := durable.Kind{Plan: func(item durable.Item, _ time.Time) (durable.Effect, error) {
		n := len(item.Data)
		if n == wanted {
			return durable.Effect{}, nil
		}
		return durable.Effect{Name: "count", Do: func(context.Context) (durable.Fact, error) {
			return func(item *durable.Item) error { item.Data = make([]byte, max(len(item.Data), n+1)); return nil }, nil
		}}, nil
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	runner, err := durable.NewRunner(durable.RunnerConfig{
		Store: rows, Kinds: map[string]durable.Kind{"visit": kind}, LeaseTTL: 2 * time.Second, PollEvery: 20 * time.Millisecond,
	})
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = runner.Run(ctx) }()
	done := func() bool {
		ready := 0
		for item, err := range rows.List(ctx, durable.Filter{}) {
			if err == nil && len(item.Data) == wanted && item.Due.IsZero() && item.Lease.Owner == "" {
				ready++
			}
		}
		return ready == total
	}
	for !done() && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	require.NoError(t, ctx.Err(), "a row is stuck")
	cancel()
	<-ended
}

func TestRowsErrorsSayNothingPrivate(t *testing.T) {
	t.Parallel()
	private := durable.Item{ID: durable.ID{Kind: "visit", Name: "v-1"}, Tenant: "asha", Data: []byte("canary"), Due: time.Now()}
	q := durable.Query{Kinds: map[string]int{"visit": 0}, By: time.Now(), Limit: 1}
	for op, call := range map[string]func(*mongostore.Rows) error{
		"Get": func(r *mongostore.Rows) error { _, err := r.Get(t.Context(), private.ID); return err },
		"Put": func(r *mongostore.Rows) error { _, err := r.Put(t.Context(), private); return err },
		"Due": func(r *mongostore.Rows) error { _, err := r.Due(t.Context(), q); return err },
		"Lease": func(r *mongostore.Rows) error {
			_, _, err := r.Lease(t.Context(), q, "asha", durable.Lease{Owner: "x", TTL: time.Second})
			return err
		},
		"Leases": func(r *mongostore.Rows) error { _, err := r.Leases(t.Context(), q.Kinds); return err },
		"Erase":  func(r *mongostore.Rows) error { _, err := r.Erase(t.Context(), time.Now(), 1); return err },
		"List": func(r *mongostore.Rows) (err error) {
			for _, err = range r.List(t.Context(), durable.Filter{Tenant: "asha"}) {
			}
			return err
		},
	} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			srv.SetFault(func(wiretest.Command) wiretest.Fault { return wiretest.CutAfter })
			err := call(rowsAt(t, connect(t, srv.URI())))
			typed, ok := errors.AsType[*mongostore.Error](err)
			require.True(t, ok, err)
			require.Equal(t, op, typed.Op)
			require.NotRegexp(t, `asha|canary|127\.0\.0\.1`, fmt.Sprintf("%v %+v %#v", err, err, err))
			kind := telemed.ErrUnavailable
			if op == "Put" || op == "Lease" {
				kind = telemed.ErrAmbiguous
			}
			require.ErrorIs(t, err, kind)
		})
	}
}

// TestRowsBesideStrangers has documents that are no rows, or do not open, among them.
func TestRowsBesideStrangers(t *testing.T) {
	t.Parallel()
	client := connect(t, start(t).URI())
	collection := client.Database("hospital").Collection(mongostore.DefaultRowsCollection)
	for _, stranger := range []bson.D{
		{{Key: "_id", Value: "name"}, {Key: "name", Value: "canary"}},
		{{Key: "_id", Value: "visit/odd"}, {Key: "kind", Value: "visit"}, {Key: "name", Value: "odd"}, {Key: "tenant", Value: "a"}, {Key: "owner", Value: ""},
			{Key: "version", Value: int64(0)}, {Key: "due", Value: bson.DateTime(1)}, {Key: "data", Value: []byte("canary")}, {Key: "rev", Value: "r"}},
	} {
		_, err := collection.InsertOne(t.Context(), stranger)
		require.NoError(t, err)
	}
	st, err := mongostore.New(mongostore.Config{Database: client.Database("hospital"), Seal: newKeyring(t, store.NewKey()), SealStrict: true})
	require.NoError(t, err)
	rows := st.Rows()
	_, err = rows.Put(t.Context(), durable.Item{ID: visitID, Tenant: "b", Due: time.Now(), Data: []byte("data")})
	require.NoError(t, err)
	_, err = rows.Get(t.Context(), durable.ID{Kind: "visit", Name: "odd"})
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	items, next, err := rows.Lease(t.Context(), durable.Query{Kinds: map[string]int{"visit": 0}, By: time.Now(), Limit: 5}, "", durable.Lease{Owner: "x", TTL: time.Second})
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	require.Len(t, items, 1)
	require.Equal(t, "b", next)
	require.NotContains(t, err.Error(), "canary")
	var last error
	listed := 0
	for _, err := range rows.List(t.Context(), durable.Filter{}) {
		require.NoError(t, last, "the error comes last")
		if last = err; err == nil {
			listed++
		}
	}
	require.Equal(t, 1, listed)
	require.Error(t, last)
	require.NotContains(t, last.Error(), "canary")
	stored, err := collection.FindOne(t.Context(), bson.D{{Key: "_id", Value: "visit/v-1"}}).Raw()
	require.NoError(t, err)
	require.NotContains(t, stored.String(), "data of")
	_, data := stored.Lookup("data").Binary()
	require.NotContains(t, string(data), "data")
}

// TestRowsPinned looks at what the driver sends.
func TestRowsPinned(t *testing.T) {
	t.Parallel()
	srv := start(t)
	rows := rowsAt(t, connect(t, srv.URI()+"&readPreference=secondaryPreferred&w=1"))
	_, err := rows.Put(t.Context(), durable.Item{ID: visitID, Due: time.Now(), EraseAt: time.UnixMilli(1)})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	_, err = rows.Put(t.Context(), durable.Item{ID: visitID, Due: time.Now(), EraseAt: time.Now()})
	require.NoError(t, err)
	_, _, err = rows.Lease(t.Context(), durable.Query{Kinds: map[string]int{"visit": 0}, By: time.Now(), Limit: 3}, "", durable.Lease{Owner: "x", TTL: time.Second})
	require.NoError(t, err)
	_, err = rows.Leases(t.Context(), map[string]int{"visit": 0})
	require.NoError(t, err)
	n, err := rows.Erase(t.Context(), time.Now(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, command := range srv.Commands() {
		require.NotEqual(t, "secondaryPreferred", command.Body.Lookup("$readPreference", "mode").String(), command.Name)
		concern := "writeConcern"
		if command.Name == "find" {
			concern = "readConcern"
		}
		require.Contains(t, command.Body.Lookup(concern).String(), "majority", command.Name)
	}
}
