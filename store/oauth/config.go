package oauth

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// RefreshFunc buys the next token for old. Whether it is called again after it failed
// depends on the error. It is never called twice at the same time for the same account,
// in any process. It must end when ctx does.
//
// Its errors decide what the Source believes; see [Provider.Refresh], which is one. An
// error that matches none of the named ones counts as telemed.ErrAmbiguous, and so does a
// panic. A new refresh token that comes beside an error is kept, since the old one is
// spent. One that has the method RetryDelay() time.Duration tells how long the provider
// wants to be left alone.
type RefreshFunc func(ctx context.Context, old store.Token) (store.Token, error)

// Tuning says how a Source refreshes. The zero value is right for most.
type Tuning struct {
	// Early is how long before its expiry a token is refreshed, but never more than a
	// quarter of its life. If 0, 5 minutes.
	Early time.Duration
	// Timeout bounds one exchange with the provider. Time in which this process stood still
	// (SIGSTOP, a paused container) does not count. If 0, 15 seconds.
	Timeout time.Duration
	// LeaseTTL is how long a lease of this process must have been seen unchanged before
	// another one takes it over. That takes up to three quarters longer, because the
	// holder may still save; a Shutdown in that time leaves the lease to the next. It is
	// written into the record, so that processes with different settings agree. It must
	// be at least twice Timeout. If 0, 60 seconds, or twice Timeout if that is more.
	LeaseTTL time.Duration
	// SaveFor is how long a new token is tried to be saved while the store fails. If 0,
	// 24 hours.
	SaveFor time.Duration
	// RetryReconnect is how long an account that waits to be reconnected is left alone
	// before its token is tried once more. If 0, 1 hour.
	RetryReconnect time.Duration
	// IdleAfter is how long a token may lie unused before KeepAlive refreshes it. If 0,
	// 30 days.
	IdleAfter time.Duration

	// MaxRejections sets the breaker. If the provider rejects the refresh tokens of more
	// accounts than this within RejectionWindow, and of more than it refreshes, it is the
	// provider that is broken. No further account is then marked, unless it is still
	// rejected after RetryReconnect; its callers get telemed.ErrUnavailable. Each process
	// counts for itself. If 0, 10. If negative, there is no breaker.
	MaxRejections int
	// RejectionWindow is the time over which rejections are counted. If 0, 10 minutes.
	RejectionWindow time.Duration

	// Spool keeps each new token until the store has it, in case the process is killed
	// between the two; see Recover. If nil, they are kept in memory only.
	Spool Spool

	// OnRefresh is called after a new token was saved. It must not block. May be nil.
	OnRefresh func(id store.AccountID)
	// OnReconnect is called after an account was found to need a new consent: once for each
	// dead refresh token, by the process whose write marked the account. If that process
	// ends in this very moment, nobody is told; the record says it. It must not block. May
	// be nil.
	OnReconnect func(id store.AccountID, reason string)
	// OnBreaker is called when the breaker opens, with the number of accounts rejected
	// within RejectionWindow: somebody should look. It must not block. May be nil.
	OnBreaker func(rejected int)
}

// SourceConfig configures a Source.
type SourceConfig struct {
	// Store keeps the records. Required.
	Store store.TokenStore
	// Provider is the AccountID.Provider of all accounts of this Source. Required.
	Provider string
	// Refresh buys tokens. Required.
	Refresh RefreshFunc
	// Revoke withdraws the grant of a token that was bought for an account which was
	// deleted meanwhile: nobody else has it. It must end when ctx does, at the latest after
	// Timeout. Provider.NewSource sets it to Provider.Withdraw, which spares an account that
	// another doctor shares. If nil, the token is dropped and its grant lives on.
	Revoke func(ctx context.Context, id store.AccountID, token store.Token) error

	Tuning

	// Logger gets what goes wrong without anybody being told by an error. If nil, nothing
	// is logged.
	Logger *slog.Logger
}

func (c SourceConfig) validate() error {
	var p fault.Problems
	p.NotNil("Store", c.Store)
	p.Optional("Spool", c.Spool)
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
	full := c.Tuning.withDefaults()
	p.Check(full.LeaseTTL >= 2*full.Timeout, "LeaseTTL", "is less than twice Timeout")
	return p.Err("oauth: source")
}

func (c SourceConfig) withDefaults() SourceConfig {
	c.Tuning = c.Tuning.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (t Tuning) withDefaults() Tuning {
	t.Early = cmp.Or(t.Early, 5*time.Minute)
	t.Timeout = cmp.Or(t.Timeout, 15*time.Second)
	t.LeaseTTL = cmp.Or(t.LeaseTTL, max(60*time.Second, 2*t.Timeout))
	t.SaveFor = cmp.Or(t.SaveFor, 24*time.Hour)
	t.RetryReconnect = cmp.Or(t.RetryReconnect, time.Hour)
	t.IdleAfter = cmp.Or(t.IdleAfter, 30*24*time.Hour)
	t.RejectionWindow = cmp.Or(t.RejectionWindow, 10*time.Minute)
	t.MaxRejections = cmp.Or(t.MaxRejections, 10)
	return t
}

// early is how long before its expiry rec's token is refreshed. A token with a short life
// would otherwise be refreshed before each use.
func (t Tuning) early(rec store.Record) time.Duration {
	life := rec.Token.Expiry.Sub(rec.UpdatedAt)
	return min(t.Early, max(life/4, 0))
}

// leftAlone reports whether rec waits for its doctor and was tried not long ago. The time
// was written by another clock, which decides no more here than when the next try is
// made.
func (t Tuning) leftAlone(rec store.Record, now time.Time) bool {
	return rec.Status == store.StatusReconnect && now.Sub(rec.UpdatedAt).Abs() < t.RetryReconnect
}

// leaseTTL is how long rec must stand still until its lease may be taken over.
func (t Tuning) leaseTTL(rec store.Record) time.Duration {
	if rec.Lease.TTL > 0 {
		return rec.Lease.TTL
	}
	return t.LeaseTTL
}

// storeTimeout bounds one call of the store. It is a small part of LeaseTTL, so that a
// lease that was written slowly is still young when the exchange begins.
func (t Tuning) storeTimeout() time.Duration { return maxSavePause(t.LeaseTTL) }

// maxSavePause is the longest pause between two tries to save for the holder of a lease
// with this TTL. It is a small part of it: when the store is back, the holder saves
// before anybody thinks that it is dead.
func maxSavePause(ttl time.Duration) time.Duration { return min(10*time.Second, ttl/4) }

// takeoverPause is how long an attempt that has taken a lease over leaves the token
// alone. ttl is that of the lease. The takeover showed that the store takes writes,
// perhaps again: a holder that was only waiting for that saves meanwhile. With jitter, it
// is longer than maxSavePause and shorter than ttl.
func takeoverPause(ttl time.Duration) time.Duration { return 3 * maxSavePause(ttl) }

func validProvider(name string) bool {
	return store.AccountID{Provider: name, Subject: "x"}.Validate() == nil
}
