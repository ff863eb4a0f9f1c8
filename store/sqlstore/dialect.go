package sqlstore

import (
	"embed"
	"regexp"
	"strconv"
	"strings"
)

// Dialect is the SQL that a database speaks. The zero value stands for the driver's.
type Dialect int

// The dialects.
const (
	// PostgreSQL is also for the databases that speak its protocol and know ON CONFLICT.
	PostgreSQL Dialect = iota + 1
	// MySQL is also for MariaDB. Durable rows need MySQL 8.0 or MariaDB 10.6.
	MySQL
	// SQLite needs SQLite 3.24 or later, 3.35 for durable rows.
	SQLite
)

//go:embed schema/*.sql
var schemas embed.FS

// String returns the dialect's name in lower case.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "postgresql"
	case MySQL:
		return "mysql"
	case SQLite:
		return "sqlite"
	}
	return "Dialect(" + strconv.Itoa(int(d)) + ")"
}

func (d Dialect) known() bool { return d >= PostgreSQL && d <= SQLite }

// tableName admits what every dialect takes unquoted, with a schema before it or not.
var tableName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,62}$`)

func (d Dialect) schema(kind, name, table string) string {
	ddl, err := schemas.ReadFile("schema/" + kind + "." + d.String() + ".sql")
	if err != nil {
		panic("sqlstore: " + err.Error()) // each known dialect's files are embedded
	}
	return strings.Replace(string(ddl), name, table, 1)
}

// maxRowsTable leaves room for the names of indexes, which PostgreSQL would cut at 63.
const maxRowsTable = 50

// unqualified is a table's name without its schema.
func unqualified(table string) string {
	_, name, found := strings.Cut(table, ".")
	if !found {
		return table
	}
	return name
}

// rowsSchema returns the statements for a table of rows. An index lies where its table
// does: PostgreSQL takes no other name for it, and SQLite wants it said.
func (d Dialect) rowsSchema(table string) []string {
	name := unqualified(table)
	index, on := name, table
	if d == SQLite {
		index, on = table, name
	}
	text := strings.NewReplacer(
		"EXISTS "+DefaultRowsTable+" (", "EXISTS "+table+" (",
		DefaultRowsTable+"_", index+"_",
		"ON "+DefaultRowsTable, "ON "+on,
	).Replace(d.schema("rows", "", ""))
	return strings.Split(text, "\n\n")
}

// rebind replaces each ? by the dialect's placeholder. The statements of this package
// have no other question marks.
func (d Dialect) rebind(query string) string {
	if d != PostgreSQL {
		return query
	}
	parts := strings.Split(query, "?")
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		b.WriteString("$" + strconv.Itoa(i+1) + part)
	}
	return b.String()
}

// tokenStatements are the SQL of a table of tokens.
type tokenStatements struct {
	get, revision, create, replace, remove string
	// list is the beginning of a page.
	list string
}

const (
	valueColumns = "token, status, reason, lease_owner, lease_until, lease_ttl, lease_tainted, expires_at, updated_at, revision"
	// pageSize is how many records a page of List holds at most.
	pageSize = 200
)

func (d Dialect) tokenStatements(table string) tokenStatements {
	const sameKey = " WHERE provider = ? AND subject = ?"
	create := "INSERT INTO " + table + " (" + valueColumns + ", provider, subject) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	return tokenStatements{
		get:      d.rebind("SELECT provider, subject, " + valueColumns + " FROM " + table + sameKey),
		revision: d.rebind("SELECT revision FROM " + table + sameKey),
		create:   d.rebind(create + d.unlessThere("provider, subject")),
		replace: d.rebind("UPDATE " + table + " SET " + strings.ReplaceAll(valueColumns, ",", " = ?,") + " = ?" +
			sameKey + " AND revision = ?"),
		remove: d.rebind("DELETE FROM " + table + sameKey),
		list:   "SELECT provider, subject, " + valueColumns + " FROM " + table,
	}
}

// unlessThere ends an INSERT that is to do nothing if there is a row with that key. In
// MySQL such an INSERT fails: its INSERT IGNORE also ignores what is wrong with the
// values.
func (d Dialect) unlessThere(key string) string {
	if d == MySQL {
		return ""
	}
	return " ON CONFLICT (" + key + ") DO NOTHING"
}

// claimStatements are the SQL of a table of claims.
type claimStatements struct {
	look, create, takeOver, complete, release string
	// over, remove, done and reseal are for walks through the table.
	over, done, reseal string
	// remove is the beginning of a statement that deletes some of what is over.
	remove string
}

// claimsPage is how many rows a page of a walk through the claims holds at most.
const claimsPage = 200

func (d Dialect) claimStatements(table string) claimStatements {
	now := d.now()
	ended := "(ends_at <= " + now + ")"
	// A key that nobody completed stays for a day, for the next one to learn of it.
	over := "(ends_at <= " + now + " - CASE WHEN done = 1 THEN 0 ELSE 86400000 END)"
	const sameClaim = " WHERE claim_key = ? AND token = ?"
	page := " AND claim_key > ? ORDER BY claim_key LIMIT " + strconv.Itoa(claimsPage)
	return claimStatements{
		look: d.rebind("SELECT claim_key, token, done, value, CASE WHEN " + ended + " THEN 1 ELSE 0 END FROM " + table + " WHERE claim_key = ?"),
		create: d.rebind("INSERT INTO " + table + " (token, done, value, ends_at, claim_key) VALUES (?, 0, ?, " + now + " + ?, ?)" +
			d.unlessThere("claim_key")),
		takeOver: d.rebind("UPDATE " + table + " SET token = ?, done = 0, value = ?, ends_at = " + now + " + ?" +
			sameClaim + " AND done = ? AND " + ended),
		complete: d.rebind("UPDATE " + table + " SET done = 1, value = ?, ends_at = " + now + " + ?" + sameClaim),
		release:  d.rebind("DELETE FROM " + table + sameClaim + " AND done = 0"),

		over:   d.rebind("SELECT claim_key FROM " + table + " WHERE " + over + page),
		done:   d.rebind("SELECT claim_key FROM " + table + " WHERE done = 1 AND LENGTH(value) > 0 AND NOT " + ended + page),
		reseal: d.rebind("UPDATE " + table + " SET value = ?" + sameClaim + " AND done = 1 AND value = ?"),
		remove: "DELETE FROM " + table + " WHERE " + over,
	}
}

// now is the database's own clock in Unix milliseconds. It knows no time zone.
// PostgreSQL's now() is the beginning of the transaction, which may be long ago for one
// that had to wait.
func (d Dialect) now() string {
	switch d {
	case PostgreSQL:
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
	case MySQL:
		return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000)"
	}
	return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
}
