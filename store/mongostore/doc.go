// Package mongostore keeps tokens in a MongoDB collection, through the official driver.
// The host brings the client and owns its connections.
//
//	client, err := mongo.Connect(options.Client().ApplyURI(uri))
//	...
//	tokens, err := mongostore.New(mongostore.Config{Database: client.Database("hospital")})
//
// A document is {_id: "zoom:doctor-1", provider, subject, token, status, reason, lease,
// expiresAt, updatedAt, rev}. Its _id is all the index there has to be, so that
// no right to create one is needed. Hosts with very many doctors may add one on
// {status: 1, _id: 1}.
//
// Never put a TTL index on expiresAt: it is the access token's expiry, and MongoDB would
// delete the refresh token with it.
//
// # Consistency
//
// Whatever the client is configured to, the store writes with majority write concern and
// reads with majority read concern from the primary: a refresh token read from a
// secondary that lags may be spent. A session in ctx is not used, so that a host's
// transaction that is rolled back takes no token with it. Compare-and-set is one
// replacement of one document, filtered by its rev.
//
// # Moving in
//
// [ImportSeed] brings the tokens over from doctor documents with a googleMeetToken.
//
// # Errors
//
// ErrNotFound and ErrConflict of package store say what they say there. A failure of
// the database is an [*Error]: it matches telemed.ErrUnavailable if it was a read,
// and telemed.ErrAmbiguous if it may have been written.
//
// # Security
//
// Tokens are written in clear, as store.EncodeToken makes them. Wrap the store with
// store.Sealed to encrypt them. No error text holds a document's value.
//
// # Testing
//
// storetest.Run holds over this package. A host's tests may as well use store.NewMemory.
package mongostore
