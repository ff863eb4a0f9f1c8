package sqlstore

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// rowStatements are the SQL of a table of rows that does not depend on what is asked for.
type rowStatements struct {
	get, getLocked, revision, create, replace string
	// over finds rows whose time is over.
	over string
	// remove, mark and leases are the beginnings of statements: one that deletes some of
	// those, MySQL's that leases rows, and one that finds leases.
	remove, mark, leases string
}

const (
	// rowColumns are a row, whole.
	rowColumns = "kind, name, tenant, due, lease_owner, lease_ttl, attempts, stuck, erase_at, version, audit, data, revision"
	// rowValues are what Put writes over.
	rowValues = "due, lease_owner, lease_ttl, attempts, stuck, erase_at, version, audit, data, revision"
	// rowsPage is how many rows a page of List holds at most, erasePage how many are
	// deleted at once.
	rowsPage, erasePage = 50, 200
	// isFree is a row that is not leased and may fall due. It is the condition of the
	// partial indexes.
	isFree = "due IS NOT NULL AND lease_owner = ''"
)

func (d Dialect) rowStatements(table string) rowStatements {
	const sameRow = " WHERE kind = ? AND name = ?"
	get := "SELECT " + rowColumns + " FROM " + table + sameRow
	locked := get
	if d != SQLite {
		locked += " FOR UPDATE"
	}
	create := "INSERT INTO " + table + " (" + rowValues + ", kind, name, tenant) VALUES (" + strings.Repeat("?, ", 12) + "?)"
	return rowStatements{
		get:       d.rebind(get),
		getLocked: d.rebind(locked),
		revision:  d.rebind("SELECT revision FROM " + table + sameRow),
		create:    d.rebind(create + d.unlessThere("kind, name")),
		replace: d.rebind("UPDATE " + table + " SET " + strings.ReplaceAll(rowValues, ",", " = ?,") + " = ?" +
			sameRow + " AND tenant = ? AND revision = ?"),
		over:   d.rebind("SELECT kind, name FROM " + table + " WHERE erase_at <= ? ORDER BY erase_at LIMIT ?"),
		remove: "DELETE FROM " + table + " WHERE erase_at <= ?",
		mark:   "UPDATE " + table + " SET revision = ?, lease_owner = ?, lease_ttl = ? WHERE (kind, name) IN",
		leases: "SELECT kind, name, revision, lease_owner, lease_ttl FROM " + table + " WHERE lease_owner <> ''",
	}
}

// eachKind has a part of a statement for each kind, and for the rows of its versions:
// kinds in their order, so that one Runner's statements are always the same. Kinds and
// versions were checked, and hold nothing that SQL could take for something else. They
// are written out, because an index serves one kind at a time.
func eachKind(kinds map[string]int, between string, part func(fits string) string) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, part("kind = '"+kind+"' AND version <= "+strconv.Itoa(kinds[kind])))
	}
	return strings.Join(parts, between)
}

// soonest is due for statements that ask for it over all tenants. PostgreSQL's index is of
// another expression: it would take that one, too, for the few rows of a small tenant, and
// read all those of a big one.
func (d Dialect) soonest() string {
	if d == PostgreSQL {
		return "due + 0"
	}
	return "due"
}

// fits is the condition that a row is of these kinds and versions.
func fits(kinds map[string]int) string {
	return "(" + eachKind(kinds, " OR ", func(fits string) string { return fits }) + ")"
}

// numbered replaces each :name by a placeholder, and returns the arguments in its order.
// A name may stand in a statement more than once.
func (d Dialect) numbered(query string, named map[string]any) (bound string, args []any) {
	var b strings.Builder
	places := map[string]int{}
	for i, part := range strings.Split(query, ":") {
		if i == 0 {
			b.WriteString(part)
			continue
		}
		end := strings.IndexFunc(part, func(r rune) bool { return r < 'a' || r > 'z' })
		if end < 0 {
			end = len(part)
		}
		name := part[:end]
		if d != PostgreSQL {
			args = append(args, named[name])
			b.WriteString("?" + part[end:])
			continue
		}
		if places[name] == 0 {
			args = append(args, named[name])
			places[name] = len(args)
		}
		b.WriteString("$" + strconv.Itoa(places[name]) + part[end:])
	}
	return b.String(), args
}
