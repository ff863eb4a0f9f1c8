package sqlstore

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// Due implements durable.Store. With q.PerTenant it reads all that is due.
func (r *Rows) Due(ctx context.Context, q durable.Query) ([]durable.ID, error) {
	return r.due(ctx, r.db, q)
}

func (r *Rows) due(ctx context.Context, db Execer, q durable.Query) (ids []durable.ID, err error) {
	if err := durable.CheckQuery(q); err != nil {
		return nil, err
	}
	query, args := r.dialect.numbered(r.dueText(q), map[string]any{"now": q.By.UnixMilli(), "limit": q.Limit, "each": q.PerTenant})
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, unavailable("Rows.Due", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id durable.ID
		if err := rows.Scan(&id.Kind, &id.Name); err != nil {
			return nil, unavailable("Rows.Due", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable("Rows.Due", err)
	}
	return ids, nil
}

// dueText asks for each kind by itself, for which there is an index, unless tenants are
// to be counted.
func (r *Rows) dueText(q durable.Query) string {
	const order = " ORDER BY COALESCE(due, 0), kind, name"
	which := "lease_owner <> ''"
	if !q.Leased {
		which = r.dialect.soonest() + " <= :now AND " + isFree
	}
	if q.PerTenant > 0 {
		return "SELECT kind, name FROM (SELECT kind, name, due, ROW_NUMBER() OVER (PARTITION BY tenant" + order + ") AS place FROM " +
			r.table + " WHERE " + which + " AND " + fits(q.Kinds) + ") n WHERE place <= :each" + order + " LIMIT :limit"
	}
	if q.Leased {
		return "SELECT kind, name FROM " + r.table + " WHERE " + which + " AND " + fits(q.Kinds) + order + " LIMIT :limit"
	}
	return "SELECT kind, name FROM (" + eachKind(q.Kinds, " UNION ALL ", func(fits string) string {
		return "SELECT kind, name, due FROM (SELECT kind, name, due FROM " + r.table + " WHERE " + which + " AND " + fits +
			" ORDER BY " + r.dialect.soonest() + ", name LIMIT :limit) n"
	}) + ") k" + order + " LIMIT :limit"
}

// List implements durable.Lister. It reads page after page and holds no connection while
// the caller works on a row. Rows that do not open are left out, and counted in the error
// at the end, telemed.ErrDecrypt.
func (r *Rows) List(ctx context.Context, filter durable.Filter) iter.Seq2[durable.Item, error] {
	return func(yield func(durable.Item, error) bool) {
		var last durable.ID
		unopened := 0
		for {
			query, args := r.pageText(filter, last)
			items, err := r.query(ctx, r.db, query, args...)
			if err != nil {
				yield(durable.Item{}, unavailable("Rows.List", err))
				return
			}
			for _, item := range items {
				last = item.ID
				item, err := r.open(item)
				if err != nil {
					unopened++
				} else if !yield(item, nil) {
					return
				}
			}
			if len(items) < rowsPage {
				break
			}
		}
		if unopened > 0 {
			yield(durable.Item{}, fmt.Errorf("sqlstore: Rows.List: %d rows left out: %w", unopened, telemed.ErrDecrypt))
		}
	}
}

func (r *Rows) pageText(filter durable.Filter, last durable.ID) (query string, args []any) {
	var where []string
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	switch {
	case filter.Kind != "":
		add("kind = ? AND name > ?", filter.Kind, last.Name)
	case last != durable.ID{}:
		add("(kind > ? OR (kind = ? AND name > ?))", last.Kind, last.Kind, last.Name)
	}
	if filter.Tenant != "" {
		add("tenant = ?", filter.Tenant)
	}
	if filter.Stuck {
		add("stuck <> ''")
	}
	query = "SELECT " + rowColumns + " FROM " + r.table
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	return r.dialect.rebind(query + " ORDER BY kind, name LIMIT " + strconv.Itoa(rowsPage)), args
}

// Erase implements durable.Eraser. It deletes some hundred rows at a time.
func (r *Rows) Erase(ctx context.Context, by time.Time, limit int) (int, error) {
	erased := 0
	for erased < limit {
		page := min(limit-erased, erasePage)
		n, found, err := r.erasePage(ctx, by.UnixMilli(), page)
		erased += n
		if err != nil || found < page {
			return erased, err
		}
	}
	return erased, nil
}

func (r *Rows) erasePage(ctx context.Context, by int64, limit int) (erased, found int, err error) {
	ids, err := r.over(ctx, by, limit)
	if err != nil {
		return 0, 0, unavailable("Rows.Erase", err)
	}
	if len(ids) == 0 {
		return 0, 0, nil
	}
	args := append([]any{by}, ids...)
	query := r.dialect.rebind(r.sql.remove + " AND (kind, name) IN (" + r.dialect.rowValues(len(ids)/2) + ")")
	for range raceTries {
		var n int64
		if n, err = affected(r.db.ExecContext(ctx, query, args...)); err == nil {
			return int(n), len(ids) / 2, nil
		}
		if !rolledBack(err) {
			break
		}
	}
	return 0, 0, ambiguous("Rows.Erase", err)
}

// rowValues is a list of n pairs, for IN.
func (d Dialect) rowValues(n int) string {
	if d == SQLite {
		return "VALUES " + places(n, "(?, ?)")
	}
	return places(n, "(?, ?)")
}

// over returns rows whose time is over, kinds and names in turn, as arguments of a
// statement.
func (r *Rows) over(ctx context.Context, by int64, limit int) (ids []any, err error) {
	rows, err := r.db.QueryContext(ctx, r.sql.over, by, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id durable.ID
		if err := rows.Scan(&id.Kind, &id.Name); err != nil {
			return nil, err
		}
		ids = append(ids, id.Kind, id.Name)
	}
	return ids, rows.Err()
}
