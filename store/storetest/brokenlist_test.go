package storetest_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/store"
)

// listBy are the faults of a List that goes page by page.
type listBy struct {
	change                 func(*store.Record)
	statusLike, statusFold bool

	page, limit                                                                  int
	deleted, oldStatus, prefix, own, life, endsAtEmpty, byMoment, byWrite, locks bool
}

func (h *tokensHandle) List(ctx context.Context, filter store.Filter) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		h.enter(1)
		defer h.enter(-1)
		yielded, cursor := 0, ""
		for {
			if err := ctx.Err(); err != nil {
				yield(store.Record{}, err)
				return
			}
			rows := h.rowsAfter(cursor)
			fitting := slices.DeleteFunc(slices.Clone(rows), func(row tokenRow) bool { return !h.listed(row, filter) })
			for _, row := range fitting {
				if yielded++; h.lists.limit > 0 && yielded > h.lists.limit || !yield(h.entry(row), nil) {
					return
				}
			}
			if len(rows) == 0 || h.lists.endsAtEmpty && len(fitting) == 0 {
				return
			}
			cursor = h.order(rows[len(rows)-1])
		}
	}
}

func (h *tokensHandle) enter(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listing += n
}

// rowsAfter returns a page.
func (h *tokensHandle) rowsAfter(cursor string) []tokenRow {
	h.mu.Lock()
	defer h.mu.Unlock()
	var rows []tokenRow
	for _, row := range h.rows {
		rows = append(rows, row)
	}
	if h.lists.deleted {
		for _, row := range h.gone {
			rows = append(rows, row)
		}
	}
	rows = slices.DeleteFunc(rows, func(row tokenRow) bool { return h.order(row) <= cursor })
	slices.SortFunc(rows, func(a, b tokenRow) int { return strings.Compare(h.order(a), h.order(b)) })
	return rows[:min(len(rows), cmp.Or(h.lists.page, 1000))]
}

// order is what rows are sorted by.
func (h *tokensHandle) order(row tokenRow) string {
	switch {
	case h.lists.byMoment:
		return row.rec.UpdatedAt.UTC().Format(time.RFC3339Nano)
	case h.lists.byWrite:
		return fmt.Sprintf("%09d", row.write)
	}
	return row.rec.ID.Provider + ":" + row.rec.ID.Subject
}

func (h *tokensHandle) entry(row tokenRow) store.Record {
	rec := h.copied(row.rec)
	if h.lists.change != nil {
		h.lists.change(&rec)
	}
	return rec
}

// listed tells whether a row is taken for one that fits.
func (h *tokensHandle) listed(row tokenRow, filter store.Filter) bool {
	switch {
	case h.lists.own && row.by != h, h.lists.life && row.write <= h.writes-h.life:
		return false
	case h.lists.oldStatus:
		row.rec.Status = row.first
	case h.lists.statusLike && like(string(filter.Status), string(row.rec.Status)),
		h.lists.statusFold && strings.EqualFold(string(filter.Status), string(row.rec.Status)):
		filter.Status = ""
	case h.lists.prefix && strings.HasPrefix(row.rec.ID.Provider, filter.Provider):
		filter.Provider = ""
	}
	return filter.Match(row.rec)
}
