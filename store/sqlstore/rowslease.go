package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// Lease implements durable.Leaser. It is one statement on PostgreSQL, and a transaction
// of some on the others. Rows that another transaction holds are left out; SQLite waits
// for it. If the database's answer is lost, rows may be leased that nobody works: a
// Runner's watcher takes them over.
func (r *Rows) Lease(ctx context.Context, q durable.Query, after string, lease durable.Lease) (items []durable.Item, next string, err error) {
	q.Leased = false
	if err := errors.Join(durable.CheckQuery(q), durable.CheckLease(lease)); err != nil {
		return nil, after, err
	}
	c := claiming{
		Rows: r, q: q, after: after, now: q.By.UnixMilli(),
		revision: rand.Text(), owner: lease.Owner, ttl: lease.TTL.Milliseconds(),
	}
	claim := c.byPage
	if r.dialect == PostgreSQL {
		claim = c.atOnce
	}
	for range raceTries {
		if items, next, err = claim(ctx); err == nil || !rolledBack(err) {
			break
		}
	}
	switch {
	case err != nil && (rolledBack(err) || r.dialect.busy(code(err))):
		return nil, after, unavailable("Rows.Lease", err)
	case err != nil:
		return nil, after, ambiguous("Rows.Lease", err)
	}
	items, err = r.openAll(items)
	return items, next, err
}

// openAll opens what opens.
func (r *Rows) openAll(sealed []durable.Item) (items []durable.Item, err error) {
	unopened := 0
	for _, item := range sealed {
		if item, openErr := r.open(item); openErr == nil {
			items = append(items, item)
		} else {
			unopened++
		}
	}
	if unopened > 0 {
		err = fmt.Errorf("sqlstore: Rows.Lease: %d rows left out: %w", unopened, telemed.ErrDecrypt)
	}
	return items, err
}

// claiming is one call of Lease.
type claiming struct {
	*Rows
	q               durable.Query
	after           string
	now, ttl        int64
	revision, owner string
}

// atOnce is PostgreSQL's one statement:
//
//	anything  whether a row is due
//	a         the tenants that come after the cursor, found one by one in the index
//	b         those from the first one on
//	turns     as many of them as rows are wanted, of which a row is due
//	c         each one's share, locked; what others have locked is skipped
//	u         the lease, which does not name data; rows are found where they lie
//
// A tenant whose turn it was is told even if all its rows were locked by others, so that
// next goes past it.
func (c claiming) atOnce(ctx context.Context) (items []durable.Item, next string, err error) {
	query, args := c.dialect.numbered(c.atOnceText(), map[string]any{
		"now": c.now, "after": c.after, "limit": c.q.Limit, "rev": c.revision, "owner": c.owner, "ttl": c.ttl,
	})
	rows, err := c.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	var tenants []string
	for rows.Next() {
		var tenant string
		item, err := scanItem(scanAfter{rows, &tenant})
		if err != nil {
			return nil, "", err
		}
		tenants = append(tenants, tenant)
		if item.ID.Kind != "" {
			items = append(items, item)
		}
	}
	slices.Sort(tenants)
	_, next = durable.Turns(slices.Compact(tenants), c.after, c.q.Limit)
	return items, next, rows.Err()
}

// scanAfter scans a column before those of a row.
type scanAfter struct {
	rows  *sql.Rows
	first any
}

func (s scanAfter) Scan(into ...any) error { return s.rows.Scan(append([]any{s.first}, into...)...) }

func (c claiming) atOnceText() string {
	soonest := c.dialect.soonest()
	// Ordered, so that each is one look at an index, whatever the statistics say.
	anything := "(" + c.eachKind(" OR ", "(SELECT due FROM "+c.table+" WHERE FITS AND "+soonest+" <= :now AND "+isFree+
		" ORDER BY "+soonest+" LIMIT 1) IS NOT NULL") + ")"
	theirs := "(" + c.eachKind(" OR ", "(SELECT due FROM "+c.table+" WHERE FITS AND tenant = n.tenant AND due <= :now AND "+isFree+
		" ORDER BY due LIMIT 1) IS NOT NULL") + ")"
	share := c.eachKind(" UNION ALL ", "SELECT place, due FROM (SELECT ctid AS place, due FROM "+c.table+
		" WHERE FITS AND tenant = turns.tenant AND due <= :now AND "+isFree+
		" ORDER BY due LIMIT (SELECT GREATEST(1, :limit / COUNT(*)) FROM turns) FOR UPDATE SKIP LOCKED) l")
	return "WITH RECURSIVE anything(due) AS MATERIALIZED (SELECT " + anything + "), " +
		"a(tenant) AS (" +
		"SELECT " + c.nextTenant(" AND tenant > :after") + " WHERE (SELECT due FROM anything)" +
		" UNION ALL SELECT " + c.nextTenant(" AND tenant > a.tenant") + " FROM a WHERE tenant IS NOT NULL), " +
		"b(tenant) AS (" +
		"SELECT " + c.nextTenant("") + " WHERE (SELECT due FROM anything)" +
		" UNION ALL SELECT " + c.nextTenant(" AND tenant > b.tenant") + " FROM b WHERE tenant <= :after), " +
		"turns(tenant) AS MATERIALIZED (" +
		"SELECT tenant FROM (SELECT tenant FROM a UNION ALL SELECT tenant FROM b WHERE tenant <= :after) n" +
		" WHERE tenant IS NOT NULL AND " + theirs + " LIMIT :limit), " +
		"c AS MATERIALIZED (" +
		"SELECT s.place FROM turns CROSS JOIN LATERAL (" +
		"SELECT place FROM (" + share + ") k ORDER BY due LIMIT (SELECT GREATEST(1, :limit / COUNT(*)) FROM turns)) s), " +
		"u AS (UPDATE " + c.table + " d SET revision = :rev, lease_owner = :owner, lease_ttl = :ttl" +
		" WHERE d.ctid = ANY (ARRAY(SELECT place FROM c)) RETURNING d.*) " +
		"SELECT turns.tenant, COALESCE(u.kind, ''), COALESCE(u.name, ''), COALESCE(u.tenant, ''), u.due, COALESCE(u.lease_owner, '')," +
		" COALESCE(u.lease_ttl, 0), COALESCE(u.attempts, 0), COALESCE(u.stuck, ''), u.erase_at, COALESCE(u.version, 0)," +
		" u.audit, u.data, COALESCE(u.revision, '') FROM turns LEFT JOIN u ON u.tenant = turns.tenant"
}

// nextTenant is an expression for the first tenant with a row that may fall due, null if
// there is none.
func (c claiming) nextTenant(more string) string {
	return "(SELECT MIN(tenant) FROM (" +
		c.eachKind(" UNION ALL ", "SELECT MIN(tenant) AS tenant FROM "+c.table+" WHERE FITS AND "+isFree+more) + ") m)"
}

// eachKind has a part for each kind that is asked for; FITS stands for its condition.
func (c claiming) eachKind(between, part string) string {
	return eachKind(c.q.Kinds, between, func(fits string) string { return strings.ReplaceAll(part, "FITS", fits) })
}

// byPage is for the databases that have no such statement. It asks whose turn it is, and
// then takes each one's share in a transaction.
func (c claiming) byPage(ctx context.Context) (items []durable.Item, next string, err error) {
	tenants, err := c.dueTenants(ctx)
	if err != nil {
		return nil, "", err
	}
	turns, next := durable.Turns(tenants, c.after, c.q.Limit)
	if len(turns) == 0 {
		return nil, next, nil
	}
	tx, err := c.db.BeginTx(ctx, c.dialect.leaseIsolation())
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = tx.Rollback() }() // it is over, or has changed nothing
	share := max(1, c.q.Limit/len(turns))
	for _, tenant := range turns {
		theirs, err := c.share(ctx, tx, tenant, share)
		if err != nil {
			return nil, "", err
		}
		items = append(items, theirs...)
	}
	if c.dialect == MySQL && len(items) > 0 {
		if err := c.mark(ctx, tx, items); err != nil {
			return nil, "", err
		}
	}
	return items, next, tx.Commit()
}

// leaseIsolation is the one at which MySQL locks the rows that it finds and not the gaps
// between them.
func (d Dialect) leaseIsolation() *sql.TxOptions {
	if d == MySQL {
		return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return nil
}

// dueTenants returns the tenants of which a row is due, in their order. Each is found in
// the index by itself, however many rows it has.
func (c claiming) dueTenants(ctx context.Context) ([]string, error) {
	query, args := c.dialect.numbered(c.dueTenantsText(), map[string]any{"now": c.now})
	rows, err := c.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tenants []string
	for rows.Next() {
		var tenant string
		if err := rows.Scan(&tenant); err != nil {
			return nil, err
		}
		tenants = append(tenants, tenant)
	}
	return tenants, rows.Err()
}

func (c claiming) dueTenantsText() string {
	if c.dialect == MySQL { // a recursion ends at 1,000 there
		return eachKind(c.q.Kinds, " UNION ", func(fits string) string {
			kind, _, _ := strings.Cut(fits, " AND ")
			return "SELECT tenant FROM " + c.table + " WHERE " + kind + " AND " + isFree +
				" GROUP BY lease_owner, kind, tenant HAVING MIN(due) <= :now"
		}) + " ORDER BY tenant"
	}
	return "WITH RECURSIVE a(tenant) AS (SELECT " + c.nextTenant("") +
		" UNION ALL SELECT " + c.nextTenant(" AND tenant > a.tenant") + " FROM a WHERE tenant IS NOT NULL) " +
		"SELECT tenant FROM a n WHERE tenant IS NOT NULL AND (" +
		c.eachKind(" OR ", "EXISTS (SELECT 1 FROM "+c.table+" WHERE FITS AND tenant = n.tenant AND due <= :now AND "+isFree+")") + ")"
}

// share leases rows of one tenant. On MySQL it locks them, for mark.
func (c claiming) share(ctx context.Context, tx *sql.Tx, tenant string, limit int) ([]durable.Item, error) {
	due := fits(c.q.Kinds) + " AND tenant = :tenant AND due <= :now AND " + isFree + " ORDER BY due LIMIT :limit"
	query := "SELECT " + rowColumns + " FROM " + c.table + " WHERE " + due + " FOR UPDATE SKIP LOCKED"
	if c.dialect == SQLite {
		query = "UPDATE " + c.table + " SET revision = :rev, lease_owner = :owner, lease_ttl = :ttl WHERE rowid IN (SELECT rowid FROM " +
			c.table + " WHERE " + due + ") RETURNING " + rowColumns
	}
	query, args := c.dialect.numbered(query, map[string]any{
		"tenant": tenant, "now": c.now, "limit": limit, "rev": c.revision, "owner": c.owner, "ttl": c.ttl,
	})
	return c.query(ctx, tx, query, args...)
}

// mark leases rows that are locked.
func (c claiming) mark(ctx context.Context, tx *sql.Tx, items []durable.Item) error {
	args := []any{c.revision, c.owner, c.ttl}
	for i := range items {
		item := &items[i]
		args = append(args, item.ID.Kind, item.ID.Name)
		item.Revision, item.Lease = c.revision, durable.Lease{Owner: c.owner, TTL: time.Duration(c.ttl) * time.Millisecond}
	}
	_, err := tx.ExecContext(ctx, c.sql.mark+" ("+places(len(items), "(?, ?)")+")", args...)
	return err
}

// places is a list of n times the same.
func places(n int, place string) string {
	return strings.TrimSuffix(strings.Repeat(place+", ", n), ", ")
}

// Leases implements durable.LeaseLister.
func (r *Rows) Leases(ctx context.Context, kinds map[string]int) ([]durable.Held, error) {
	if err := durable.CheckQuery(durable.Query{Kinds: kinds, Limit: 1, Leased: true}); err != nil {
		return nil, err
	}
	rows, err := r.db.QueryContext(ctx, r.sql.leases+" AND "+fits(kinds))
	if err != nil {
		return nil, unavailable("Rows.Leases", err)
	}
	defer rows.Close()
	var held []durable.Held
	for rows.Next() {
		var (
			h   durable.Held
			ttl int64
		)
		if err := rows.Scan(&h.ID.Kind, &h.ID.Name, &h.Revision, &h.Lease.Owner, &ttl); err != nil {
			return nil, unavailable("Rows.Leases", err)
		}
		h.Lease.TTL = time.Duration(ttl) * time.Millisecond
		held = append(held, h)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable("Rows.Leases", err)
	}
	return held, nil
}
