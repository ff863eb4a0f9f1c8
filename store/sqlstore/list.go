package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed/store"
)

// List implements store.Lister.
func (s *tokens) List(ctx context.Context, filter store.Filter) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		var (
			p   page
			bad error
			err error
		)
		for more := true; more; more = err == nil && p.rows == pageSize {
			p, err = s.page(ctx, filter, p.last)
			for _, rec := range p.records {
				if !yield(rec, nil) {
					return
				}
			}
			bad = cmp.Or(bad, p.bad)
		}
		if err != nil {
			yield(store.Record{}, unavailable("List", err))
		} else if bad != nil {
			yield(store.Record{}, broken("List", bad))
		}
	}
}

// page is what one query brings.
type page struct {
	records []store.Record
	rows    int             // also those that are not records
	last    store.AccountID // of the last row
	bad     error           // about the first row that is not a record
}

// page returns the records that come after last, and those before an error.
func (s *tokens) page(ctx context.Context, filter store.Filter, last store.AccountID) (p page, err error) {
	query, args := s.pageQuery(filter, last)
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return p, err
	}
	defer rows.Close()
	for rows.Next() {
		rec, err := scan(rows)
		row, unreadable := errors.AsType[*unreadable](err)
		switch {
		case unreadable:
			p.last, p.bad = row.key, cmp.Or[error](p.bad, row)
		case err != nil:
			return p, err
		default:
			p.last, p.records = rec.ID, append(p.records, rec)
		}
		p.rows++
	}
	return p, rows.Err()
}

func (s *tokens) pageQuery(filter store.Filter, last store.AccountID) (query string, args []any) {
	var where []string
	switch {
	case filter.Provider != "":
		where = append(where, "provider = ? AND subject > ?")
		args = append(args, filter.Provider, last.Subject)
	case last != store.AccountID{}:
		where = append(where, "(provider > ? OR (provider = ? AND subject > ?))")
		args = append(args, last.Provider, last.Provider, last.Subject)
	}
	if filter.Status != "" {
		where = append(where, "status = ?")
		args = append(args, string(filter.Status))
	}
	query = s.sql.list
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	query += " ORDER BY provider, subject LIMIT " + strconv.Itoa(pageSize)
	return s.dialect.rebind(query), args
}
