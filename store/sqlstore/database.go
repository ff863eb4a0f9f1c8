package sqlstore

import (
	"context"
	"database/sql"
)

// database is the application's pool and what it speaks.
type database struct {
	db      *sql.DB
	dialect Dialect
}

// raceTries is how many races in a row a call may lose before it gives up. Each was won
// by another write.
const raceTries = 20

func (d database) exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	result, err := d.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
