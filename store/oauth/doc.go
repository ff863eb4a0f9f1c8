// Package oauth hands out access tokens that work, and refreshes each one exactly once.
//
// A [Provider] describes an authorization server. A [Source] stands on a store.TokenStore
// and refreshes each token once, however many goroutines and processes need it:
//
//	source, err := oauth.NewSource(oauth.SourceConfig{
//		Store: tokens, Provider: "zoom", Refresh: provider.Refresh,
//	})
//	token, err := source.Token(ctx, store.AccountID{Provider: "zoom", Subject: doctorID})
//	...
//	err = source.Shutdown(ctx) // on SIGTERM: waits until what was refreshed is saved
//
// meet/googlemeet and zoom do this themselves; an application chooses the TokenStore.
//
// # Promise
//
// Against a provider whose refresh tokens stay (Google), no account is ever disconnected
// by this package. Against one whose refresh tokens are spent by use (Zoom), that happens
// only if the provider's answer is lost on the wire or takes longer than Tuning.Timeout, or
// the process is killed in the moment before the answer is saved, and then the record says
// so. A [Spool] narrows that moment to the exchange itself while the database is down. A
// process that alone is cut off from the database right after an exchange, for longer than
// a lease lives, looks dead to the others: they find the token spent and mark the account,
// which is active again as soon as that process can save.
//
// # Leases
//
// Whoever refreshes holds a lease, in the account's record. It is won by compare-and-set,
// which also proves that the store takes writes before anything is spent. No clock is
// compared with another machine's. A lease is dead when a process has watched it stand
// still for the TTL that its holder wrote into it, with the store answering all the
// while. Whoever takes it over leaves its holder a last chance to save before anything is
// spent.
//
// Until the first byte of an exchange is sent, its process may stand still. [Provider.Refresh]
// looks at the clock once more when that byte is asked for, and sends nothing under a lease
// that may be dead: a spent token that is presented again may end the grant, whoever has
// its successor.
//
// A refresh is not tied to the caller's context. A new token is saved until it is saved,
// over any revision, as long as the record still holds the token that was spent for it.
// Meanwhile callers are served from memory.
//
// # Errors
//
// telemed.ErrNotConnected and telemed.ErrReconnect are about the account,
// telemed.ErrUnauthorized is about the application's configuration, telemed.ErrDecrypt
// about its keys; everything else passes. An account is marked for reconnecting only
// after the provider has said twice that its refresh token is dead, and not while it says
// so of everybody (see Tuning.MaxRejections). Its token is kept, and tried again
// each hour.
//
// After a refresh that failed, whatever the reason, the account is left alone: for half a
// minute, and longer each time, up to a quarter of an hour. A token that still works is
// served meanwhile. If none does, callers get the error of that refresh, which tells the
// time left and has the method RetryDelay() time.Duration. A new consent ends the pause.
//
// # Testing
//
// The package's own tests live through simulated days of outages, kills and deploys;
// -sim.seeds makes them longer.
package oauth
