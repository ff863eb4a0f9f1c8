// Package mongostore keeps tokens and claims in two MongoDB collections, through the
// official driver. The application brings the client and owns its connections.
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
// Never put a TTL index on expiresAt of the tokens: it is the access token's expiry, and
// MongoDB would delete the refresh token with it. One on until of the claims, with an
// expireAfterSeconds of 86400, does what PurgeClaims does once a day.
//
// # Consistency
//
// Whatever the client is configured to, the store writes with majority write concern and
// reads with majority read concern from the primary: a refresh token read from a
// secondary that lags may be spent. A session in ctx is not used, so that an
// application's transaction that is rolled back takes no token with it. Compare-and-set
// is one replacement of one document, filtered by its rev. A claim is one upsert whose
// pipeline compares with $$NOW, the server's clock; it needs MongoDB 4.2 or later.
//
// # Moving in
//
// [ImportSeed] brings the tokens over from doctor documents with a googleMeetToken.
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
// Tokens and the values of claims are sealed under Config.Seal, each for its own
// document. Keys, status and leases stay readable, because the store looks documents up
// by them. store.Reseal seals both collections anew after a change of keys. No error text
// holds a document's value.
//
// # Testing
//
// storetest.RunShared and storetest.RunClaims hold over this package. An application's
// tests may as well use store.NewMemory.
package mongostore
