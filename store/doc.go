// Package store says what is kept of connected accounts, and who does a thing that must
// happen once.
//
// A [TokenStore] keeps a [Record] for each [AccountID]; store/oauth refreshes what is
// kept, and store/connect puts there what a new consent brings. [Claims] say which
// process does a thing, and what came of it.
//
// [Memory] is both, for tests and examples. store/sqlstore and store/mongostore are both
// for all processes of an application. Three methods make either of one's own, and
// durable.NewClaims makes Claims of the three of a durable.Store.
//
// # Errors
//
// telemed.ErrNotFound: there is no record. telemed.ErrConflict: the record is at another
// revision than Put was given, or the claim under another token. telemed.ErrDecrypt: a
// record or a value cannot be opened, for want of the key or because it was changed; it
// says nothing about the account. telemed.ErrInvalid: an argument is out of bounds, and a
// *FieldError names it.
//
// # Security
//
// Tokens are telemed.Secret values. sqlstore and mongostore seal them before they write
// them down, or their Config says InsecureClear: AES-256-GCM under a [Keyring] whose keys
// can be changed while everything runs, or a Tink keyset. [Sealed] does it for a
// TokenStore of the application's own, [Sealer] for what else a store keeps.
//
// # Testing
//
// storetest.RunShared checks a TokenStore of the application's own, storetest.RunClaims
// its Claims.
package store
