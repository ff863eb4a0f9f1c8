package storetest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

type tokenFaults struct {
	share, noContext, anyKey, lags, noBounds, characters, ttl, overwrite, anyAccount, tombstone, strictDelete,
	readsLike, deletesLike, deletesPrefix, deletesSubject, scratch, torn, closesAll, emptiesPlace, wholePlace, tryLock, twoSteps, ownLock, replaces, upsert,
	caches, comparesCache, cachesAbsence, apart, writesLate, forgets, forgetsReplace, forgetsDelete bool

	joins        string // what is between provider and subject, or "none"
	fold         func(string) string
	change       func(*store.Record)
	sameRevision func(stored, given string) bool
	revision     func(h *tokensHandle, rec, old store.Record) string
	slow         time.Duration
	lists        listBy
}

// tokensDatabase is what the handles have in common.
type tokensDatabase struct {
	tokenFaults
	mu      sync.Mutex
	rows    map[store.AccountID]tokenRow
	before  map[store.AccountID]tokenRow // what the last Put has replaced
	gone    map[store.AccountID]tokenRow
	durable map[store.AccountID]tokenRow // what a restart finds
	handles int                          // that are open
	writes  int
	life    int // writes since the last restart
	place   string
	onWay   store.Record
	listing int
	opened  int
	ended   int // handles up to this one are of no use
}

type tokenRow struct {
	rec   store.Record
	write int          // which one it was
	first store.Status // under which the row began
	by    *tokensHandle
}

// newBrokenTokens returns how to open a handle, as RunShared wants it.
func newBrokenTokens(faults tokenFaults) func() store.TokenStore {
	if faults.fold == nil {
		faults.fold = func(text string) string { return text }
	}
	if faults.change == nil {
		faults.change = func(*store.Record) {}
	}
	if faults.sameRevision == nil {
		faults.sameRevision = func(stored, given string) bool { return stored == given }
	}
	if faults.revision == nil {
		faults.revision = func(*tokensHandle, store.Record, store.Record) string { return rand.Text() }
	}
	db := newTokensDatabase(faults)
	return func() store.TokenStore {
		db.mu.Lock()
		defer db.mu.Unlock()
		db.handles++
		db.opened++
		if faults.emptiesPlace {
			clear(db.rows)
		}
		h := &tokensHandle{tokensDatabase: db, number: db.opened, cache: map[store.AccountID]tokenRow{}, absent: map[store.AccountID]bool{}, late: map[store.AccountID]tokenRow{}}
		if faults.apart {
			h.tokensDatabase = newTokensDatabase(faults)
		}
		return h
	}
}

func newTokensDatabase(faults tokenFaults) *tokensDatabase {
	return &tokensDatabase{
		tokenFaults: faults, rows: map[store.AccountID]tokenRow{}, before: map[store.AccountID]tokenRow{},
		gone: map[store.AccountID]tokenRow{}, durable: map[store.AccountID]tokenRow{},
	}
}

// tokensHandle is one process's.
type tokensHandle struct {
	*tokensDatabase
	own    sync.Mutex
	number int
	closed bool
	cache  map[store.AccountID]tokenRow
	absent map[store.AccountID]bool
	late   map[store.AccountID]tokenRow
	count  int
}

func countEach(_ *tokensHandle, _, old store.Record) string {
	n, _ := strconv.Atoi(old.Revision)
	return strconv.Itoa(n + 1)
}

func countHandle(h *tokensHandle, _, _ store.Record) string {
	h.count++
	return strconv.Itoa(h.count)
}

func countLife(h *tokensHandle, _, _ store.Record) string { return strconv.Itoa(h.life) }

// Close ends the process, and a life if no other process runs.
func (h *tokensHandle) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.Copy(h.rows, h.late)
	h.closed = true
	h.handles--
	if h.closesAll {
		h.ended = h.opened
	}
	if h.handles > 0 {
		return nil
	}
	h.life = 0
	switch {
	case h.forgets:
		clear(h.rows)
	case h.forgetsReplace, h.forgetsDelete:
		h.rows = maps.Clone(h.durable)
	}
	return nil
}

func (h *tokensHandle) check(ctx context.Context, id store.AccountID) error {
	if err := id.Validate(); err != nil && !h.anyKey {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.number <= h.ended || h.closed {
		return errors.New("used after Close")
	}
	if h.noContext {
		return nil
	}
	return ctx.Err()
}

// key is what a record is stored under.
func (h *tokensHandle) key(id store.AccountID) store.AccountID {
	if h.joins != "" {
		return store.AccountID{Subject: id.Provider + strings.TrimPrefix(h.joins, "none") + id.Subject}
	}
	id.Subject = h.fold(id.Subject)
	return id
}

// row finds what this handle takes for stored under id.
func (h *tokensHandle) row(id store.AccountID) (tokenRow, bool) {
	key := h.key(id)
	if row, ok := h.late[key]; ok {
		return row, true
	}
	if h.readsLike {
		for stored, row := range h.rows {
			if stored.Provider == id.Provider && like(id.Subject, stored.Subject) {
				return row, true
			}
		}
	}
	row, ok := h.rows[key]
	return row, ok
}

func (h *tokensHandle) Get(ctx context.Context, id store.AccountID) (store.Record, error) {
	if err := h.check(ctx, id); err != nil {
		return store.Record{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	row, ok := h.row(id)
	if cached, there := h.cache[h.key(id)]; there && h.caches {
		row, ok = cached, true
	}
	if old, moved := h.before[h.key(id)]; h.lags && moved {
		delete(h.before, h.key(id)) // the next read is right
		row = old
	}
	expired := h.ttl && !row.rec.Token.Expiry.IsZero() && row.rec.Token.Expiry.Before(time.Now())
	if !ok || expired || h.cachesAbsence && h.absent[id] {
		h.absent[id] = true
		return store.Record{}, telemed.ErrNotFound
	}
	h.cache[h.key(id)] = row
	rec := h.copied(row.rec)
	rec.ID = id
	if h.wholePlace {
		rec.Revision = h.place
	}
	return rec, nil
}

func (h *tokensHandle) Put(ctx context.Context, rec store.Record) (string, error) {
	if err := h.check(ctx, rec.ID); err != nil {
		return "", err
	}
	if err := store.CheckRecord(h.bounded(rec)); err != nil && !h.noBounds && !h.anyKey {
		return "", err
	}
	time.Sleep(h.slow)
	if h.ownLock {
		h.own.Lock()
		defer h.own.Unlock()
	}
	if h.tryLock && !h.mu.TryLock() {
		return "", telemed.ErrConflict
	}
	if !h.tryLock {
		h.mu.Lock()
	}
	defer h.mu.Unlock()
	if h.tryLock {
		time.Sleep(100 * time.Microsecond)
	}
	if h.listing > 0 && h.lists.locks {
		return "", errors.New("locked")
	}
	old, there := h.row(rec.ID)
	if !h.fits(rec, old, there) {
		return "", telemed.ErrConflict
	}
	return h.set(rec, old, there), nil
}

// bounded returns what of rec is to be checked.
func (h *tokensHandle) bounded(rec store.Record) store.Record {
	if h.characters && utf8.ValidString(rec.Reason) && utf8.RuneCountInString(rec.Reason) <= store.MaxReason {
		rec.Reason = ""
	}
	return rec
}

// fits compares.
func (h *tokensHandle) fits(rec store.Record, old tokenRow, there bool) bool {
	key := h.key(rec.ID)
	if cached, ok := h.cache[key]; ok && h.comparesCache {
		old = cached
	}
	if _, was := h.gone[key]; was && !there && h.tombstone {
		return false
	}
	if h.anyAccount && there {
		for _, other := range h.rows {
			if other.rec.Revision == rec.Revision {
				return true
			}
		}
	}
	if h.wholePlace && there {
		return rec.Revision == h.place
	}
	return h.overwrite || h.upsert && !there || h.replaces && rec.Revision == "" || h.sameRevision(old.rec.Revision, rec.Revision)
}

// set writes rec down, where the comparison has let it.
func (h *tokensHandle) set(rec store.Record, old tokenRow, there bool) string {
	h.onWay = rec
	if h.twoSteps || h.ownLock || h.scratch {
		h.mu.Unlock()
		time.Sleep(time.Millisecond)
		h.mu.Lock()
	}
	if h.scratch {
		id := rec.ID
		rec = h.onWay
		rec.ID = id
	}
	rec = h.copied(rec)
	h.change(&rec)
	h.writes++
	h.life++
	rec.Revision = h.revision(h, rec, old.rec)
	h.place = rec.Revision
	row := tokenRow{rec: rec, write: h.writes, first: rec.Status, by: h}
	key := h.key(rec.ID)
	if there {
		row.first = old.first
		h.before[key] = old
	}
	delete(h.absent, rec.ID)
	delete(h.gone, key)
	h.cache[key] = row
	if h.writesLate {
		h.late[key] = row
		return rec.Revision
	}
	h.write(key, row, old)
	if _, kept := h.durable[key]; !kept || !h.forgetsReplace {
		h.durable[key] = row
	}
	return rec.Revision
}

func (h *tokensHandle) write(key store.AccountID, row, old tokenRow) {
	if h.torn {
		half := row
		half.rec.Reason = old.rec.Reason
		h.rows[key] = half
		h.mu.Unlock()
		time.Sleep(time.Millisecond)
		h.mu.Lock()
	}
	h.rows[key] = row
}

func (h *tokensHandle) copied(rec store.Record) store.Record {
	if h.share {
		return rec
	}
	data, _ := store.EncodeToken(rec.Token)
	rec.Token, _ = store.DecodeToken(data)
	return rec
}

func (h *tokensHandle) Delete(ctx context.Context, id store.AccountID) error {
	if err := h.check(ctx, id); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.row(id); !there && h.strictDelete {
		return telemed.ErrNotFound
	}
	for key, row := range h.rows {
		if h.deletes(id, key) {
			h.gone[key] = row
			delete(h.rows, key)
		}
	}
	delete(h.late, h.key(id))
	delete(h.cache, h.key(id))
	delete(h.before, h.key(id))
	if !h.forgetsDelete {
		delete(h.durable, h.key(id))
	}
	return nil
}

// deletes tells whether Delete of id takes the row under key.
func (h *tokensHandle) deletes(id, key store.AccountID) bool {
	switch {
	case h.deletesSubject:
		return key.Subject == id.Subject
	case h.deletesLike:
		return key.Provider == id.Provider && like(id.Subject, key.Subject)
	case h.deletesPrefix:
		return key.Provider == id.Provider && strings.HasPrefix(key.Subject, id.Subject)
	}
	return key == h.key(id)
}
