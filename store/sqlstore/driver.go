package sqlstore

import (
	"database/sql"
	"reflect"
	"regexp"
)

// drivers are the packages of the drivers whose SQL is known.
var drivers = []struct {
	path    *regexp.Regexp
	dialect Dialect
}{
	{regexp.MustCompile(`^github\.com/jackc/pgx(/v\d+)?/stdlib$`), PostgreSQL},
	{regexp.MustCompile(`^github\.com/lib/pq$`), PostgreSQL},
	{regexp.MustCompile(`^github\.com/go-sql-driver/mysql$`), MySQL},
	{regexp.MustCompile(`^github\.com/ncruces/go-sqlite3/driver$`), SQLite},
	{regexp.MustCompile(`^github\.com/mattn/go-sqlite3$`), SQLite},
	{regexp.MustCompile(`^modernc\.org/sqlite$`), SQLite},
}

// dialectOf returns the SQL of a pool's driver, by the package that its type is of; 0 if it
// is not one of drivers, or wrapped by another one.
func dialectOf(db *sql.DB) Dialect {
	kind := reflect.TypeOf(db.Driver())
	if kind == nil {
		return 0
	}
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return dialectOfPackage(kind.PkgPath())
}

func dialectOfPackage(path string) Dialect {
	for _, known := range drivers {
		if known.path.MatchString(path) {
			return known.dialect
		}
	}
	return 0
}
