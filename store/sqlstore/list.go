package sqlstore

import (
	"context"
	"iter"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed/store"
)

// List implements store.Lister, ordered by provider and subject. It reads page after page and
// holds no connection while the caller works on a record.
func (s *Store) List(ctx context.Context, filter store.Filter) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		var last store.Key
		for {
			page, err := s.page(ctx, filter, last)
			for _, rec := range page {
				if !yield(rec, nil) {
					return
				}
			}
			if err != nil {
				yield(store.Record{}, broken("List", err))
				return
			}
			if len(page) < pageSize {
				return
			}
			last = page[len(page)-1].Key
		}
	}
}

// page returns the records that come after last, and those before an error.
func (s *Store) page(ctx context.Context, filter store.Filter, last store.Key) ([]store.Record, error) {
	query, args := s.pageQuery(filter, last)
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []store.Record
	for rows.Next() {
		rec, err := scan(rows)
		if err != nil {
			return page, err
		}
		page = append(page, rec)
	}
	return page, rows.Err()
}

func (s *Store) pageQuery(filter store.Filter, last store.Key) (query string, args []any) {
	var where []string
	switch {
	case filter.Provider != "":
		where = append(where, "provider = ? AND subject > ?")
		args = append(args, filter.Provider, last.Subject)
	case last != store.Key{}:
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
