// Package mongostore keeps tokens, claims and durable rows in three MongoDB collections,
// through the official driver. The application brings the client and owns its connections.
//
//	client, err := mongo.Connect(options.Client().ApplyURI(uri))
//	...
//	keys, err := store.NewKeyring(telemed.NewSecret(os.Getenv("SEAL_KEY")))
//	...
//	st, err := mongostore.New(mongostore.Config{Database: client.Database("hospital"), Seal: keys})
//
// A token is {_id: "zoom:doctor-1", provider, subject, token, status, reason, lease,
// expiresAt, updatedAt, rev}, a claim {_id: key, token, done, value, until, expired}.
// Their _id is all the index there has to be, so that no right to create one is needed.
// Applications with very many doctors may add one on {status: 1, _id: 1}.
//
// A row is {_id: "order/42", kind, name, tenant, due, owner, ttl, attempts, stuck, eraseAt,
// version, audit, data, rev}. A Runner asks each second what is due, so the collection of
// rows should have these two; without them each question reads all of it:
//
//	db.telemed_rows.createIndex({tenant: 1, due: 1, _id: 1},
//		{partialFilterExpression: {due: {$exists: true}}})
//	db.telemed_rows.createIndex({owner: 1})
//
// Never put a TTL index on expiresAt of the tokens: it is the access token's expiry, and
// MongoDB would delete the refresh token with it. One on until of the claims, with an
// expireAfterSeconds of 86400, does what PurgeClaims does once a day.
//
// # Consistency
//
// Whatever the client is configured to, the store writes with majority write concern and
// reads with majority read concern from the primary: a refresh token read from a
// secondary that lags may be spent. A session in ctx is not used for tokens and claims, so
// that an application's transaction that is rolled back takes no token with it.
// Compare-and-set is one replacement of one document, filtered by its rev. A claim is one
// upsert whose pipeline compares with $$NOW, the server's clock; it needs MongoDB 4.2 or
// later.
//
// # Rows and transactions
//
// Get and Put of [Rows], and so durable.Change, are part of the transaction of the session
// in ctx, where there is one: a visit's row commits with the appointment. Without
// transactions, on a server that is no replica set, each Put stands for itself.
//
//	session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
//		if _, err := appointments.InsertOne(ctx, appointment); err != nil {
//			return nil, err
//		}
//		_, err := durable.Change(ctx, st.Rows(), id, wish)
//		return nil, err
//	})
//
// [Store.InTx] is that with a session of its own, and begins again where that helps. Its
// [Tx] is the durable.Store for code that takes one.
//
// A Runner leases rows one by one, each by one FindOneAndUpdate, of one tenant after the
// other.
//
// # Moving in
//
// [ImportSeed] brings the tokens over from doctor documents: Google's, and by a second import
// Zoom's.
//
// # Errors
//
// telemed.ErrNotFound, ErrConflict, ErrInvalid and ErrDecrypt say what they say in
// package store. A failure of the database is an [*Error]: it matches
// telemed.ErrUnavailable if nothing can have been written, and telemed.ErrAmbiguous if it
// may have been.
//
// # Security
//
// Tokens, the values of claims and the data of rows are sealed under Config.Seal, each for
// its own document. Keys, status, leases and what else a row has stay readable, because
// the store looks documents up by them. store.Reseal seals tokens and claims anew after a
// change of keys; a row is sealed anew when it is next written. No error text holds a
// document's value.
//
// # Testing
//
// storetest.RunShared, RunClaims and RunDurable hold over this package, on a small server
// of its own that speaks MongoDB's protocol. That proves what this package sends, and what
// it makes of answers that are lost, refused and repeated. It does not prove MongoDB: how
// it plans queries, elects members, keeps a majority and resolves conflicts between
// transactions. With MONGO_URI set, the tests run the suites on a real deployment. An
// application's tests may as well use store.NewMemory and durable.NewMemory.
package mongostore
