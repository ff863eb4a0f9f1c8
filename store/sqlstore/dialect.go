package sqlstore

import (
	"embed"
	"regexp"
	"strconv"
	"strings"
)

// Dialect is the SQL that a database speaks. The zero value is none.
type Dialect int

// The dialects.
const (
	// PostgreSQL is also for the databases that speak its protocol and know ON CONFLICT.
	PostgreSQL Dialect = iota + 1
	// MySQL is also for MariaDB.
	MySQL
	// SQLite needs SQLite 3.24 or later.
	SQLite
)

// DefaultTable is the name of the table if the host chooses none.
const DefaultTable = "oauth_tokens"

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

// Schema returns the CREATE TABLE statement for table, for the host's migrations;
// running it again does no harm. An empty table means DefaultTable. It is empty if
// the dialect or the name is not one that New takes.
func Schema(dialect Dialect, table string) string {
	if table == "" {
		table = DefaultTable
	}
	if !dialect.known() || !tableName.MatchString(table) {
		return ""
	}
	ddl, err := schemas.ReadFile("schema/" + dialect.String() + ".sql")
	if err != nil {
		return "" // each known dialect's file is embedded; a test reads them all
	}
	return strings.Replace(string(ddl), DefaultTable, table, 1)
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

// statements are the SQL of one Store.
type statements struct {
	get, revision, create, replace, remove string
	// list is the beginning of a page.
	list string
}

const (
	valueColumns = "token, status, reason, lease_owner, lease_until, lease_ttl, lease_tainted, expires_at, updated_at, revision"
	// pageSize is how many records a page of List holds at most.
	pageSize = 200
)

func (d Dialect) statements(table string) statements {
	const sameKey = " WHERE provider = ? AND subject = ?"
	create := "INSERT INTO " + table + " (" + valueColumns + ", provider, subject) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	if d != MySQL { // MySQL's INSERT IGNORE also ignores what is wrong with the values
		create += " ON CONFLICT (provider, subject) DO NOTHING"
	}
	return statements{
		get:      d.rebind("SELECT provider, subject, " + valueColumns + " FROM " + table + sameKey),
		revision: d.rebind("SELECT revision FROM " + table + sameKey),
		create:   d.rebind(create),
		replace: d.rebind("UPDATE " + table + " SET " + strings.ReplaceAll(valueColumns, ",", " = ?,") + " = ?" +
			sameKey + " AND revision = ?"),
		remove: d.rebind("DELETE FROM " + table + sameKey),
		list:   "SELECT provider, subject, " + valueColumns + " FROM " + table,
	}
}
