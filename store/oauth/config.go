package oauth

import (
	"context"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// RefreshFunc buys the next token for old. It is called once for each attempt and
// never twice at the same time for the same key, in any process. It must end when ctx
// does. Its errors decide what the Source believes; see [Provider.Refresh], which is one.
// An error that matches none of the named ones counts as telemed.ErrAmbiguous, and so does a panic. One
// that has the method RetryDelay() time.Duration tells how long the provider wants to be left alone.
type RefreshFunc func(ctx context.Context, old store.Token) (store.Token, error)

// SourceConfig configures a Source.
type SourceConfig struct {
	// Store keeps the records. Required.
	Store store.TokenStore
	// Provider is the Key.Provider of all keys of this Source. Required.
	Provider string
	// Refresh buys tokens. Required.
	Refresh RefreshFunc

	// Early is how long before its expiry a token is refreshed, but never more than a
	// quarter of its life. If 0, 5 minutes.
	Early time.Duration
	// Timeout bounds one exchange with the provider. If 0, 15 seconds.
	Timeout time.Duration
	// LeaseTTL is how long a lease must have been seen unchanged before another process takes
	// it over, which takes up to half as long again: the holder may still save. A Close in that time leaves
	// the lease to the next. It must be at least twice Timeout. If 0, 60 seconds or twice Timeout if that is more.
	LeaseTTL time.Duration
	// SaveFor is how long a new token is tried to be saved while the store fails. If 0, 24 hours.
	SaveFor time.Duration
	// RetryReconnect is how long an account that waits to be reconnected is left alone before
	// its token is tried once more. If 0, 1 hour.
	RetryReconnect time.Duration
	// IdleAfter is how long a token may lie unused before KeepAlive refreshes it. If 0, 30 days.
	IdleAfter time.Duration

	// MaxRejections is the brake: if the provider rejects the refresh tokens of more accounts than
	// this within RejectionWindow, and of more than it refreshes, it is the provider that is
	// broken. No further account is then marked, unless it is still rejected after RetryReconnect; its
	// callers get telemed.ErrUnavailable. Each process counts for itself. If 0, 10. If negative, there
	// is no brake.
	MaxRejections int
	// RejectionWindow is the time over which rejections are counted. If 0, 10 minutes.
	RejectionWindow time.Duration

	// Spool keeps new tokens that the store cannot take, in case the process ends first; see
	// Recover. If nil, they are kept in memory only.
	Spool Spool

	// OnRefresh is called after a new token was saved. It must not block. May be nil.
	OnRefresh func(key store.AccountID)
	// OnReconnect is called after an account was found to need a new consent. It must not block. May be nil.
	OnReconnect func(key store.AccountID, reason string)
	// OnBrake is called when the brake takes hold, with the number of accounts rejected within
	// RejectionWindow: somebody should look. It must not block. May be nil.
	OnBrake func(rejected int)
	// Logger gets what goes wrong without anybody being told by an error. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c SourceConfig) validate() error {
	var p fault.Problems
	p.Check(c.Store != nil, "Store", "is required")
	p.Check(validProvider(c.Provider), "Provider", "is not 1 to 64 characters of a-z, 0-9, _ and -")
	p.Check(c.Refresh != nil, "Refresh", "is required")
	for _, field := range []struct {
		name  string
		value time.Duration
	}{
		{"Early", c.Early}, {"Timeout", c.Timeout}, {"LeaseTTL", c.LeaseTTL}, {"SaveFor", c.SaveFor},
		{"RetryReconnect", c.RetryReconnect}, {"IdleAfter", c.IdleAfter}, {"RejectionWindow", c.RejectionWindow},
	} {
		p.Check(field.value >= 0, field.name, "is negative")
	}
	full := c.withDefaults()
	p.Check(full.LeaseTTL >= 2*full.Timeout, "LeaseTTL", "is less than twice Timeout")
	return p.Err("oauth: source")
}

func (c SourceConfig) withDefaults() SourceConfig {
	setDefault(&c.Early, 5*time.Minute)
	setDefault(&c.Timeout, 15*time.Second)
	setDefault(&c.LeaseTTL, max(60*time.Second, 2*c.Timeout))
	setDefault(&c.SaveFor, 24*time.Hour)
	setDefault(&c.RetryReconnect, time.Hour)
	setDefault(&c.IdleAfter, 30*24*time.Hour)
	setDefault(&c.RejectionWindow, 10*time.Minute)
	if c.MaxRejections == 0 {
		c.MaxRejections = 10
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// storeTimeout bounds one call of the store. It is a small part of LeaseTTL, so that a
// lease that was written slowly is still young when the exchange begins.
func (c SourceConfig) storeTimeout() time.Duration { return min(10*time.Second, c.LeaseTTL/4) }

// maxSavePause is the longest pause between two tries to save. It is a small part of LeaseTTL:
// when the store is back, the holder saves before anybody thinks that it is dead.
func (c SourceConfig) maxSavePause() time.Duration { return min(10*time.Second, c.LeaseTTL/4) }

// takeoverPause is how long a process that has taken a lease over leaves the token alone. The takeover showed
// that the store takes writes, perhaps again: a holder that was only waiting for that saves meanwhile.
// With jitter, it is longer than maxSavePause and shorter than LeaseTTL.
func (c SourceConfig) takeoverPause() time.Duration { return 3 * c.maxSavePause() }

func validProvider(name string) bool {
	return store.AccountID{Provider: name, Subject: "x"}.Validate() == nil
}
