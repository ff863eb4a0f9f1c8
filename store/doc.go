// Package store says what is kept of connected accounts, and how.
//
// A [TokenStore] keeps a [Record] for each [AccountID]. [Memory] is one, store/sqlstore
// and store/mongostore are others, and three methods make one of the application's own.
// store/oauth refreshes what is kept; store/connect puts there what a new consent brings.
//
// # Errors
//
// telemed.ErrNotFound: there is no record. telemed.ErrConflict: the record is at another
// revision than Put was given. telemed.ErrDecrypt: a record cannot be opened, for want of
// the key or because it was changed; it says nothing about the account.
//
// # Security
//
// Tokens are telemed.Secret values. Stores write them down in clear unless they are
// wrapped by [Sealed]: AES-256-GCM under a [Keyring] whose keys can be changed while
// everything runs, or a Tink keyset.
//
// # Testing
//
// storetest.Run checks a TokenStore of the application's own.
package store
