// Package store keeps the tokens of connected accounts and hands out valid ones.
//
// A [TokenStore] keeps a [Record] for each [Key]; [Memory] is one, store/sqlstore and
// store/mongostore are others. A [Source] stands on it and refreshes each token
// exactly once, however many goroutines and processes need it:
//
//	tokens := store.NewMemory()
//	source, err := store.NewSource(store.SourceConfig{
//		Store: tokens, Provider: "zoom", Refresh: provider.Refresh,
//	})
//	token, err := source.Token(ctx, store.Key{Provider: "zoom", Subject: doctorID})
//
// meet/googlemeet and zoom do this themselves; a host chooses the TokenStore.
//
// # Promise
//
// Against a provider whose refresh tokens stay (Google), no account is ever
// disconnected by this package. Against one whose refresh tokens are spent by use
// (Zoom), that happens only if the provider's answer is lost on the wire, or the process
// is killed in the moment before the answer is saved, and then the record says so.
//
// # Errors
//
// ErrNotConnected and ErrReconnect are about the account, ErrUnauthorized is about
// the application's configuration, everything else passes.
//
// # Security
//
// Tokens are [Secret] values. Stores write them down in clear unless they are
// wrapped by an encrypting store.
//
// # Testing
//
// storetest.Run checks a TokenStore of the host's own.
package store
