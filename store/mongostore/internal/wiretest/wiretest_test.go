package wiretest_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func connect(t *testing.T) (*wiretest.Server, *mongo.Collection) {
	t.Helper()
	srv, err := wiretest.Start()
	require.NoError(t, err)
	client, err := mongo.Connect(options.Client().ApplyURI(srv.URI()))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.Disconnect(t.Context()))
	})
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	return srv, client.Database("test").Collection("things")
}

func thing(id, color string) bson.D {
	return bson.D{{Key: "_id", Value: id}, {Key: "color", Value: color}}
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// TestRefusals holds what a store must not come to rely on: an option that is ignored
// silently would prove what a real server does not do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	_, things := connect(t)
	ctx := t.Context()
	_, err := things.InsertOne(ctx, thing("a", "red"))
	require.NoError(t, err)
	_, err = things.InsertOne(ctx, thing("a", "blue"))
	require.True(t, mongo.IsDuplicateKeyError(err))

	_, upsert := things.ReplaceOne(ctx, byID("b"), thing("b", "red"), options.Replace().SetUpsert(true))
	_, operator := things.UpdateOne(ctx, byID("a"), bson.D{{Key: "$set", Value: bson.D{{Key: "color", Value: "blue"}}}})
	_, filter := things.DeleteMany(ctx, bson.D{{Key: "color", Value: bson.D{{Key: "$ne", Value: "red"}}}})
	_, or := things.DeleteMany(ctx, bson.D{{Key: "$or", Value: bson.A{}}})
	_, collation := things.DeleteOne(ctx, byID("A"), options.DeleteOne().SetCollation(&options.Collation{Locale: "en", Strength: 1}))
	_, sort := things.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "color", Value: -1}}))
	_, exclusion := things.Find(ctx, bson.D{}, options.Find().SetProjection(bson.D{{Key: "color", Value: 0}}))
	_, stage := things.UpdateOne(ctx, byID("a"), mongo.Pipeline{{{Key: "$unset", Value: "color"}}})
	_, expression := things.UpdateOne(ctx, byID("a"), set("color", bson.D{{Key: "$toUpper", Value: "$color"}}))
	_, variable := things.UpdateOne(ctx, byID("a"), set("color", "$$ROOT"))
	_, path := things.UpdateOne(ctx, byID("a"), set("color.of", "blue"))
	_, nothing := things.UpdateOne(ctx, byID("a"), set("color", "$shade"))
	_, text := things.UpdateOne(ctx, byID("a"), set("color", bson.D{{Key: "$add", Value: bson.A{"$color", 1}}}))
	_, identity := things.UpdateOne(ctx, byID("a"), set("_id", "b"))
	_, pipelineUpsert := things.UpdateOne(ctx, byID("b"), set("color", "red"), options.UpdateOne().SetUpsert(true))
	wide := things.FindOneAndUpdate(ctx, thing("b", "red"), set("color", "red"), options.FindOneAndUpdate().SetUpsert(true)).Err()
	_, aggregate := things.Aggregate(ctx, mongo.Pipeline{})
	for name, err := range map[string]error{
		"upsert": upsert, "operator": operator, "filter": filter, "or": or,
		"collation": collation, "sort": sort, "exclusion": exclusion, "aggregate": aggregate,
		"stage": stage, "expression": expression, "variable": variable, "path": path, "nothing": nothing, "text": text,
		"identity": identity, "pipeline upsert": pipelineUpsert, "wide": wide,
	} {
		var refused mongo.ServerError
		require.ErrorAs(t, err, &refused, name)
	}
	var found bson.M
	require.NoError(t, things.FindOne(ctx, byID("a")).Decode(&found))
	require.Equal(t, bson.M{"_id": "a", "color": "red"}, found)
}

func set(field string, expression any) mongo.Pipeline {
	return mongo.Pipeline{{{Key: "$set", Value: bson.D{{Key: field, Value: expression}}}}}
}

func call(name string, arguments ...any) bson.D {
	return bson.D{{Key: name, Value: bson.A(arguments)}}
}

// TestExpressions holds what MongoDB's manual says of the operators that a store uses.
func TestExpressions(t *testing.T) {
	t.Parallel()
	srv, things := connect(t)
	ctx := t.Context()
	now := time.Date(2026, 11, 24, 9, 30, 0, int(7*time.Millisecond), time.UTC)
	srv.SetClock(func() time.Time {
		now = now.Add(time.Millisecond)
		return now
	})
	early := bson.NewDateTimeFromTime(now.Add(-time.Hour))
	_, err := things.InsertOne(ctx, bson.D{{Key: "_id", Value: "a"}, {Key: "text", Value: "$text"}, {Key: "early", Value: early}, {Key: "no", Value: false}})
	require.NoError(t, err)
	for name, c := range map[string]struct{ expression, want any }{
		"a constant":                {"text", "text"},
		"a field":                   {"$text", "$text"},
		"a literal":                 {bson.D{{Key: "$literal", Value: "$text"}}, "$text"},
		"a literal of bytes":        {bson.D{{Key: "$literal", Value: []byte("b")}}, bson.Binary{Data: []byte("b")}},
		"dates in order":            {call("$lte", "$early", "$$NOW"), true},
		"a date is greater":         {call("$gt", "$$NOW", "$early"), true},
		"the same date":             {call("$lte", "$$NOW", "$$NOW"), true},
		"missing is less than all":  {call("$lte", "$nothing", "$early"), true},
		"missing is not false":      {call("$eq", "$nothing", false), false},
		"false is false":            {call("$eq", "$no", false), true},
		"a text is less than dates": {call("$gt", "$text", "$early"), false},
		"a missing field":           {call("$ifNull", "$nothing", "other"), "other"},
		"a field that is there":     {call("$ifNull", "$text", "other"), "$text"},
		"true":                      {call("$cond", true, "then", call("$unknown", 1)), "then"},
		"false":                     {call("$cond", "$no", call("$unknown", 1), "else"), "else"},
		"missing is no truth":       {call("$cond", "$nothing", "then", "else"), "else"},
		"a text is a truth":         {call("$cond", "$text", "then", "else"), "then"},
		"milliseconds more":         {call("$add", "$early", int64(1500)), early + 1500},
		"milliseconds less":         {call("$subtract", "$early", int32(1)), early - 1},
	} {
		result, err := things.UpdateOne(ctx, byID("a"), set("result", c.expression))
		require.NoError(t, err, name)
		require.EqualValues(t, 1, result.MatchedCount)
		var got bson.M
		require.NoError(t, things.FindOne(ctx, byID("a")).Decode(&got))
		require.Equal(t, c.want, got["result"], name)
	}

	// $$NOW is one time for a whole command, and in all stages and documents.
	_, err = things.UpdateOne(ctx, byID("a"), append(set("first", "$$NOW"), set("second", "$$NOW")...))
	require.NoError(t, err)
	var got bson.M
	require.NoError(t, things.FindOne(ctx, byID("a")).Decode(&got))
	require.Equal(t, got["first"], got["second"])
	require.NotEqual(t, bson.NewDateTimeFromTime(now), got["first"], "the find had a time of its own")

	// A stage sees the document as it was before the stage.
	_, err = things.UpdateOne(ctx, byID("a"), mongo.Pipeline{{{Key: "$set", Value: bson.D{{Key: "text", Value: "new"}, {Key: "before", Value: "$text"}}}}})
	require.NoError(t, err)
	require.NoError(t, things.FindOne(ctx, byID("a")).Decode(&got))
	require.Equal(t, "$text", got["before"])

	gone, err := things.DeleteMany(ctx, bson.D{{Key: "$expr", Value: call("$gt", "$early", "$$NOW")}})
	require.NoError(t, err)
	require.Zero(t, gone.DeletedCount)
	gone, err = things.DeleteMany(ctx, bson.D{{Key: "$expr", Value: call("$lte", "$early", "$$NOW")}})
	require.NoError(t, err)
	require.EqualValues(t, 1, gone.DeletedCount)
}

// TestFindAndModify creates, changes, and sends one twice, as a driver does whose answer
// was lost.
func TestFindAndModify(t *testing.T) {
	t.Parallel()
	srv, things := connect(t)
	ctx := t.Context()
	upsert := options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.After)
	count := set("count", bson.D{{Key: "$ifNull", Value: bson.A{"$next", "first"}}})
	require.ErrorIs(t, things.FindOneAndUpdate(ctx, byID("a"), count).Err(), mongo.ErrNoDocuments)
	require.ErrorIs(t, things.FindOneAndUpdate(ctx, byID("a"), count, options.FindOneAndUpdate().SetUpsert(true)).Err(), mongo.ErrNoDocuments,
		"there was none before")
	var got bson.D
	require.NoError(t, things.FindOneAndUpdate(ctx, byID("b"), count, upsert).Decode(&got))
	require.Equal(t, bson.D{{Key: "_id", Value: "b"}, {Key: "count", Value: "first"}}, got)

	faults := 0
	srv.SetFault(func(command wiretest.Command) wiretest.Fault {
		if faults++; faults == 1 {
			return wiretest.CutAfter
		}
		return wiretest.NoFault
	})
	toggled := set("count", call("$cond", call("$eq", "$count", "first"), "second", "first"))
	require.NoError(t, things.FindOneAndUpdate(ctx, byID("b"), toggled, upsert).Decode(&got))
	require.Equal(t, "second", got[1].Value, "the second time must be answered like the first one")
	require.Equal(t, 1, srv.Stats().Replayed)

	srv.SetFault(func(wiretest.Command) wiretest.Fault { return wiretest.Collide })
	require.True(t, mongo.IsDuplicateKeyError(things.FindOneAndUpdate(ctx, byID("c"), count, upsert).Err()))
}

// TestRetriedWrites sends one retryable write twice, as a driver does whose answer was
// lost.
func TestRetriedWrites(t *testing.T) {
	t.Parallel()
	srv, things := connect(t)
	ctx := t.Context()
	cutOnce := true
	srv.SetFault(func(command wiretest.Command) wiretest.Fault {
		if command.Name == "delete" && cutOnce {
			cutOnce = false
			return wiretest.CutAfter
		}
		return wiretest.NoFault
	})
	_, err := things.InsertOne(ctx, thing("a", "red"))
	require.NoError(t, err)
	result, err := things.DeleteOne(ctx, byID("a"))
	require.NoError(t, err)
	require.EqualValues(t, 1, result.DeletedCount, "the second time must be answered like the first one")
	require.Equal(t, wiretest.Stats{Faults: 1, Replayed: 1}, srv.Stats())
	again, err := things.DeleteOne(ctx, byID("a"))
	require.NoError(t, err)
	require.Zero(t, again.DeletedCount)
}

func TestCursors(t *testing.T) {
	t.Parallel()
	srv, things := connect(t)
	ctx := t.Context()
	var many []any
	for n := range 25 {
		many = append(many, thing(string(rune('a'+n)), "red"))
	}
	_, err := things.InsertMany(ctx, many)
	require.NoError(t, err)
	cursor, err := things.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: "b"}}}}, options.Find().SetBatchSize(10))
	require.NoError(t, err)
	require.True(t, cursor.Next(ctx))
	require.Equal(t, "c", cursor.Current.Lookup("_id").StringValue())
	require.Equal(t, 1, srv.OpenCursors())
	var rest []bson.M
	require.NoError(t, cursor.All(ctx, &rest))
	require.Len(t, rest, 23)
	require.Zero(t, srv.OpenCursors())

	left, err := things.Find(ctx, bson.D{}, options.Find().SetBatchSize(10))
	require.NoError(t, err)
	require.NoError(t, left.Close(ctx))
	require.Zero(t, srv.OpenCursors())
}

// FuzzMessage sends bytes that are no message. The server must hang up or answer, and
// live on.
func FuzzMessage(f *testing.F) {
	srv, err := wiretest.Start()
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, srv.Close()) })
	address := srv.URI()[len("mongodb://"):]
	address = address[:len(address)-len("/?replicaSet=rs-wiretest")]

	ping, err := bson.Marshal(bson.D{{Key: "ping", Value: 1}, {Key: "$db", Value: "admin"}})
	require.NoError(f, err)
	f.Add(int32(2013), append([]byte{0, 0, 0, 0, 0}, ping...))
	f.Add(int32(2013), []byte{0, 0, 0, 0, 1, 5, 0, 0, 0, 0})
	f.Add(int32(2013), []byte{0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0x7f})
	f.Add(int32(2004), []byte("\x00\x00\x00\x00admin.$cmd\x00"))
	f.Add(int32(1), []byte{})
	f.Fuzz(func(t *testing.T, opcode int32, payload []byte) {
		if len(payload) > 1<<16 {
			t.Skip("longer than a fuzzed message needs to be")
		}
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		message := make([]byte, 16, 16+len(payload))
		binary.LittleEndian.PutUint32(message, uint32(16+len(payload)))
		binary.LittleEndian.PutUint32(message[12:], uint32(opcode))
		_, err = conn.Write(append(message, payload...))
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		_, err = io.ReadAll(conn)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Fatal("the server neither answers nor hangs up")
		}
	})
}

// TestFilters holds what MongoDB's manual says of the conditions that a store uses, and of
// their order.
func TestFilters(t *testing.T) {
	t.Parallel()
	_, things := connect(t)
	ctx := t.Context()
	for _, document := range []bson.D{
		{{Key: "_id", Value: "a"}, {Key: "n", Value: int64(3)}, {Key: "color", Value: "red"}},
		{{Key: "_id", Value: "b"}, {Key: "n", Value: int64(1)}, {Key: "color", Value: "blue"}},
		{{Key: "_id", Value: "c"}, {Key: "n", Value: "text"}},
		{{Key: "_id", Value: "d"}, {Key: "n", Value: int64(1)}, {Key: "color", Value: "Red"}},
	} {
		_, err := things.InsertOne(ctx, document)
		require.NoError(t, err)
	}
	field := func(name, operator string, value any) bson.D {
		return bson.D{{Key: name, Value: bson.D{{Key: operator, Value: value}}}}
	}
	for name, c := range map[string]struct {
		filter, sort bson.D
		want         []string
	}{
		"$lte is of one type":         {field("n", "$lte", int64(1)), nil, []string{"b", "d"}},
		"$gt is of one type":          {field("n", "$gt", int64(0)), nil, []string{"a", "b", "d"}},
		"$gt a text":                  {field("color", "$gt", ""), nil, []string{"a", "b", "d"}},
		"$in":                         {field("_id", "$in", bson.A{"a", "c", "x"}), nil, []string{"a", "c"}},
		"$in of nothing":              {field("_id", "$in", bson.A{}), nil, []string{}},
		"$nin has what is missing":    {field("color", "$nin", bson.A{"red", "blue"}), nil, []string{"c", "d"}},
		"$nin null has what is there": {field("color", "$nin", bson.A{nil}), nil, []string{"a", "b", "d"}},
		"$nin of nothing":             {field("_id", "$nin", bson.A{}), nil, []string{"a", "b", "c", "d"}},
		"$or":                         {bson.D{{Key: "$or", Value: bson.A{byID("a"), bson.D{{Key: "color", Value: "blue"}}}}}, nil, []string{"a", "b"}},
		"by two fields":               {bson.D{}, bson.D{{Key: "n", Value: 1}, {Key: "color", Value: 1}}, []string{"d", "b", "a", "c"}},
		"a field that is missing":     {bson.D{}, bson.D{{Key: "color", Value: 1}, {Key: "_id", Value: 1}}, []string{"c", "d", "b", "a"}},
	} {
		find := options.Find()
		if c.sort != nil {
			find.SetSort(c.sort)
		}
		cursor, err := things.Find(ctx, c.filter, find)
		require.NoError(t, err, name)
		var found []struct {
			ID string `bson:"_id"`
		}
		require.NoError(t, cursor.All(ctx, &found))
		got := []string{}
		for _, one := range found {
			got = append(got, one.ID)
		}
		require.Equal(t, c.want, got, name)
	}
	var first bson.M
	err := things.FindOneAndUpdate(ctx, field("n", "$lte", int64(5)), set("color", "green"), options.FindOneAndUpdate().SetSort(bson.D{{Key: "n", Value: 1}, {Key: "color", Value: 1}})).Decode(&first)
	require.NoError(t, err)
	require.Equal(t, "d", first["_id"])
}

// TestTransactions holds what others see, and who is first.
func TestTransactions(t *testing.T) {
	t.Parallel()
	srv, things := connect(t)
	_, err := things.InsertOne(t.Context(), thing("a", "red"))
	require.NoError(t, err)
	begin := func() (*mongo.Session, context.Context) {
		session, err := things.Database().Client().StartSession()
		require.NoError(t, err)
		require.NoError(t, session.StartTransaction())
		t.Cleanup(func() { session.EndSession(t.Context()) })
		return session, mongo.NewSessionContext(t.Context(), session)
	}
	color := func(ctx context.Context, id string) string {
		var found bson.M
		if err := things.FindOne(ctx, byID(id)).Decode(&found); err != nil {
			return err.Error()
		}
		return found["color"].(string)
	}
	none := mongo.ErrNoDocuments.Error()

	session, ctx := begin()
	_, err = things.InsertOne(ctx, thing("b", "blue"))
	require.NoError(t, err)
	_, err = things.UpdateOne(ctx, byID("a"), set("color", "green"))
	require.NoError(t, err)
	require.Equal(t, "green", color(ctx, "a"))
	require.Equal(t, "red", color(t.Context(), "a"))
	require.Equal(t, none, color(t.Context(), "b"))
	cut := false
	srv.SetFault(func(command wiretest.Command) wiretest.Fault {
		if command.Name == "commitTransaction" && !cut {
			cut = true
			return wiretest.CutAfter
		}
		return wiretest.NoFault
	})
	require.NoError(t, session.CommitTransaction(t.Context()), "the driver asks again")
	require.True(t, cut)
	require.Equal(t, "green", color(t.Context(), "a"))
	require.Equal(t, "blue", color(t.Context(), "b"))

	session, ctx = begin()
	_, err = things.DeleteOne(ctx, byID("b"))
	require.NoError(t, err)
	require.NoError(t, session.AbortTransaction(t.Context()))
	require.Equal(t, "blue", color(t.Context(), "b"))

	for _, late := range []bool{false, true} {
		session, ctx = begin()
		require.Equal(t, "blue", color(ctx, "b"))
		if late {
			_, err = things.UpdateOne(ctx, byID("b"), set("color", "mine"))
			require.NoError(t, err)
		}
		_, err = things.UpdateOne(t.Context(), byID("b"), set("color", "theirs"))
		require.NoError(t, err)
		if !late {
			require.Equal(t, "blue", color(ctx, "b"), "as it was when it began")
			_, err = things.UpdateOne(ctx, byID("b"), set("color", "mine"))
		} else {
			err = session.CommitTransaction(t.Context())
		}
		var refused mongo.LabeledError
		require.ErrorAs(t, err, &refused)
		require.True(t, refused.HasErrorLabel("TransientTransactionError"))
		require.Equal(t, "theirs", color(t.Context(), "b"))
		_, err = things.UpdateOne(t.Context(), byID("b"), set("color", "blue"))
		require.NoError(t, err)
	}

	_, ctx = begin()
	_, err = things.InsertOne(ctx, thing("a", "red"))
	require.True(t, mongo.IsDuplicateKeyError(err))
	_, err = things.InsertOne(ctx, thing("c", "red"))
	require.Error(t, err, "a failure ends a transaction")
	require.Equal(t, none, color(t.Context(), "c"))
}
