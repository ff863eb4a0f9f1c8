package wiretest_test

import (
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

// TestRefusals holds what a store must not come to rely on: an option that is ignored silently
// would prove what a real server does not do.
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
	_, or := things.DeleteMany(ctx, bson.D{{Key: "$or", Value: bson.A{bson.D{}}}})
	_, collation := things.DeleteOne(ctx, byID("A"), options.DeleteOne().SetCollation(&options.Collation{Locale: "en", Strength: 1}))
	_, sort := things.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "color", Value: 1}}))
	_, exclusion := things.Find(ctx, bson.D{}, options.Find().SetProjection(bson.D{{Key: "color", Value: 0}}))
	_, aggregate := things.Aggregate(ctx, mongo.Pipeline{})
	for name, err := range map[string]error{
		"upsert": upsert, "operator": operator, "filter": filter, "or": or,
		"collation": collation, "sort": sort, "exclusion": exclusion, "aggregate": aggregate,
	} {
		var refused mongo.ServerError
		require.ErrorAs(t, err, &refused, name)
	}
	var found bson.M
	require.NoError(t, things.FindOne(ctx, byID("a")).Decode(&found))
	require.Equal(t, bson.M{"_id": "a", "color": "red"}, found)
}

// TestRetriedWrites sends one retryable write twice, as a driver does whose answer was lost.
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

// FuzzMessage sends bytes that are no message. The server must hang up or answer, and live on.
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
