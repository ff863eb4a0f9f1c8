package storetest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// brokenClaims are claims with one fault each, and the clause that must find it.
var brokenClaims = map[string]struct {
	clause string
	faults claimFaults
}{
	"claims: a handle sees nothing of another":    {"new busy done", claimFaults{apart: true}},
	"claims: nothing outlives a restart":          {"new busy done", claimFaults{forgets: true}},
	"claims: ends by the process's clock":         {"new busy done", claimFaults{ownClock: true}},
	"claims: tells the token to whom it is Busy":  {"new busy done", claimFaults{tellsToken: true}},
	"claims: Done has no token":                   {"new busy done", claimFaults{noToken: true}},
	"claims: anybody completes":                   {"tokens", claimFaults{anyCompletes: true}},
	"claims: anybody releases":                    {"tokens", claimFaults{anyReleases: true}},
	"claims: tokens count up for each key":        {"tokens", claimFaults{counter: true}},
	"claims: folds tokens":                        {"tokens", claimFaults{foldToken: strings.ToLower}},
	"claims: releases what is Done":               {"release", claimFaults{releasesDone: true}},
	"claims: a released key looks run out":        {"release", claimFaults{releaseExpires: true}},
	"claims: Release of nothing is an error":      {"release", claimFaults{strictRelease: true}},
	"claims: a value stays what it was first":     {"complete over done", claimFaults{firstValue: true}},
	"claims: the keeping time stays":              {"complete over done", claimFaults{firstKeep: true}},
	"claims: a lease never ends":                  {"a lease runs out", claimFaults{scale: 1e6}},
	"claims: a lease ends early":                  {"a lease runs out", claimFaults{scale: 0.5}},
	"claims: asking renews the lease":             {"a lease runs out", claimFaults{renews: true}},
	"claims: does not tell Expired":               {"a lease runs out", claimFaults{neverExpired: true}},
	"claims: a key that is taken over keeps its":  {"a lease runs out", claimFaults{sameToken: true}},
	"claims: tells Expired of Done":               {"a keeping time runs out", claimFaults{alwaysExpired: true}},
	"claims: keeps for ever":                      {"a keeping time runs out", claimFaults{keepsForever: true}},
	"claims: a late holder is refused":            {"complete after the lease", claimFaults{lateRefused: true}},
	"claims: Complete of what was taken over":     {"taken over", claimFaults{oldBusy: true}},
	"claims: Complete over Done by an old token":  {"taken over", claimFaults{oldDone: true}},
	"claims: Release of what was taken over":      {"taken over", claimFaults{oldReleases: true}},
	"claims: counts milliseconds in 32 bits":      {"long times", claimFaults{narrow: true}},
	"claims: folds case":                          {"keys are exact", claimFaults{fold: strings.ToLower}},
	"claims: pads":                                {"keys are exact", claimFaults{fold: trimRight}},
	"claims: composes":                            {"keys are exact", claimFaults{fold: composed}},
	"claims: looks keys up by a pattern":          {"keys are exact", claimFaults{pattern: true}},
	"claims: cuts keys at 255 bytes":              {"keys of every kind", claimFaults{fold: cutAt(255)}},
	"claims: cuts values at 255 bytes":            {"values are whole", claimFaults{change: cutAt(255)}},
	"claims: cuts values by a byte":               {"values are whole", claimFaults{change: cutAt(store.MaxClaimValue - 1)}},
	"claims: takes values for text":               {"values are whole", claimFaults{change: func(v string) string { return strings.ToValidUTF8(v, "?") }}},
	"claims: values end at NUL":                   {"values are whole", claimFaults{change: func(v string) string { v, _, _ = strings.Cut(v, "\x00"); return v }}},
	"claims: keeps its caller's bytes":            {"nothing is shared with the caller", claimFaults{shares: true}},
	"claims: takes any key, token, time or value": {"bounds", claimFaults{anything: true}},
	"claims: ignores the context":                 {"context", claimFaults{noContext: true}},
	"claims: two winners":                         {"one winner", claimFaults{twoSteps: true}},
	"claims: two hold a lock":                     {"comes and goes", claimFaults{twoSteps: true}},
	"claims: two take over":                       {"one takes over", claimFaults{twoStepsOver: true}},
	"claims: completed and taken over":            {"completed or taken over", claimFaults{twoStepsComplete: true}},
	"claims: purges what is kept":                 {"purge", claimFaults{purgesAll: true}},
	"claims: purges what has just run out":        {"purge", claimFaults{purgesBusy: true}},
	"claims: purges nothing":                      {"purge", claimFaults{purgesNothing: true}},
}

func trimRight(text string) string { return strings.TrimRight(text, " ") }

// composed knows the one letter of the suite.
func composed(text string) string { return strings.ReplaceAll(text, "e\u0301", "\u00e9") }

func cutAt(n int) func(string) string {
	return func(text string) string { return text[:min(n, len(text))] }
}

type claimFaults struct {
	apart, forgets, ownClock, tellsToken, noToken, anyCompletes, anyReleases, counter, releasesDone, releaseExpires, strictRelease,
	firstValue, firstKeep, renews, neverExpired, sameToken, alwaysExpired, keepsForever, lateRefused, oldBusy, oldDone, oldReleases,
	narrow, pattern, shares, anything, noContext, twoSteps, twoStepsOver, twoStepsComplete, purgesAll, purgesBusy, purgesNothing bool

	scale                   float64
	fold, foldToken, change func(string) string
}

// claimsDatabase is what the handles have in common.
type claimsDatabase struct {
	claimFaults
	mu      sync.Mutex
	rows    map[string]*claimRow
	opened  int
	handles int // that are open
	count   int
}

type claimRow struct {
	token   string
	earlier map[string]bool // tokens of holders before
	done    bool
	value   []byte
	until   time.Time
}

// newBrokenClaims returns how to open a handle, as RunClaims wants it.
func newBrokenClaims(faults claimFaults) func() store.Claims {
	same := func(text string) string { return text }
	for _, fold := range []*func(string) string{&faults.fold, &faults.foldToken, &faults.change} {
		if *fold == nil {
			*fold = same
		}
	}
	if faults.scale == 0 {
		faults.scale = 1
	}
	db := &claimsDatabase{claimFaults: faults, rows: map[string]*claimRow{}}
	return func() store.Claims {
		db.mu.Lock()
		defer db.mu.Unlock()
		db.opened++
		db.handles++
		if db.apart {
			return &claimsHandle{claimsDatabase: &claimsDatabase{claimFaults: faults, rows: map[string]*claimRow{}}}
		}
		h := &claimsHandle{claimsDatabase: db}
		if db.ownClock {
			h.skew = time.Duration(db.opened%2) * 2 * time.Hour
		}
		return h
	}
}

// claimsHandle is one process's.
type claimsHandle struct {
	*claimsDatabase
	skew time.Duration
}

// Close ends the process.
func (h *claimsHandle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handles--
	if h.forgets && h.handles == 0 {
		clear(h.rows)
	}
	return nil
}

func (h *claimsHandle) now() time.Time { return time.Now().Add(h.skew) }

// row finds what is stored under key.
func (h *claimsHandle) row(key string) *claimRow {
	if h.pattern {
		for stored, row := range h.rows {
			if like(key, stored) {
				return row
			}
		}
	}
	return h.rows[h.fold(key)]
}

// like knows % at the end and _ anywhere.
func like(pattern, text string) bool {
	begin, prefix := strings.CutSuffix(pattern, "%")
	if len(text) < len(begin) || !prefix && len(text) != len(begin) {
		return false
	}
	for i := range begin {
		if begin[i] != '_' && begin[i] != text[i] {
			return false
		}
	}
	return true
}

// yield lets others in between two steps.
func (h *claimsHandle) yield(twoSteps bool) {
	if twoSteps {
		h.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		h.mu.Lock()
	}
}

func (h *claimsHandle) check(ctx context.Context, err error) error {
	if err != nil && !h.anything {
		return err
	}
	if h.noContext {
		return nil
	}
	return ctx.Err()
}

func (h *claimsHandle) after(d time.Duration) time.Time {
	if h.narrow {
		d = time.Duration(int32(d.Milliseconds())) * time.Millisecond
	}
	return h.now().Add(d)
}

func (h *claimsHandle) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	if err := h.check(ctx, store.CheckClaim(key, lease)); err != nil {
		return store.Claim{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.row(key)
	if held != nil && (h.now().Before(held.until) || held.done && h.keepsForever) {
		return h.held(held, lease), nil
	}
	h.yield(held == nil && h.twoSteps || held != nil && h.twoStepsOver)
	row := &claimRow{token: rand.Text(), earlier: map[string]bool{}, until: h.after(time.Duration(h.scale * float64(lease)))}
	expired := held != nil && !held.done
	if held != nil {
		row.earlier = held.earlier
		row.earlier[held.token] = true
		if h.sameToken {
			row.token = held.token
		}
	}
	if h.counter {
		h.count++
		row.token = strconv.Itoa(h.count % 2)
	}
	if h.pattern && held != nil {
		*held = *row
	} else {
		h.rows[h.fold(key)] = row
	}
	expired = expired && !h.neverExpired || held != nil && h.alwaysExpired
	return store.Claim{State: store.ClaimNew, Token: row.token, Expired: expired}, nil
}

func (h *claimsHandle) held(row *claimRow, lease time.Duration) store.Claim {
	switch {
	case row.done:
		claim := store.Claim{State: store.ClaimDone, Token: row.token, Value: row.value}
		if h.noToken {
			claim.Token = ""
		}
		if !h.shares {
			claim.Value = bytes.Clone(row.value)
		}
		return claim
	case h.renews:
		row.until = h.after(lease)
	case h.tellsToken:
		return store.Claim{State: store.ClaimBusy, Token: row.token}
	}
	return store.Claim{State: store.ClaimBusy}
}

func (h *claimsHandle) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if err := h.check(ctx, store.CheckComplete(key, token, value, keep)); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	row := h.row(key)
	if row == nil || !h.accepts(row, token) {
		return telemed.ErrConflict
	}
	h.yield(h.twoStepsComplete)
	if !row.done || !h.firstValue {
		row.value = value
		if !h.shares {
			row.value = []byte(h.change(string(value)))
		}
	}
	if !row.done || !h.firstKeep {
		row.until = h.after(keep)
	}
	row.done = true
	return nil
}

func (h *claimsHandle) accepts(row *claimRow, token string) bool {
	switch {
	case h.anyCompletes, row.earlier[token] && (row.done && h.oldDone || !row.done && h.oldBusy):
		return true
	case !row.done && h.lateRefused && !h.now().Before(row.until):
		return false
	}
	return h.foldToken(row.token) == h.foldToken(token)
}

func (h *claimsHandle) Release(ctx context.Context, key, token string) error {
	if err := h.check(ctx, store.CheckRelease(key, token)); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	row := h.row(key)
	if row == nil && h.strictRelease {
		return errors.New("not there")
	}
	if row == nil || row.done && !h.releasesDone {
		return nil
	}
	if row.token != token && !h.anyReleases && !(h.oldReleases && row.earlier[token]) {
		return nil
	}
	if h.releaseExpires {
		row.until = time.Time{}
		return nil
	}
	if h.pattern {
		for stored, there := range h.rows {
			if there == row {
				delete(h.rows, stored)
			}
		}
	}
	delete(h.rows, h.fold(key))
	return nil
}

func (h *claimsHandle) PurgeClaims(ctx context.Context) (int, error) {
	if err := h.check(ctx, nil); err != nil || h.purgesNothing {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for key, row := range h.rows {
		over := !h.now().Before(row.until)
		if over && (row.done || h.purgesBusy) || row.done && h.purgesAll {
			delete(h.rows, key)
			n++
		}
	}
	return n, nil
}
