// Package sqlstore keeps tokens in a table of a PostgreSQL, MySQL, MariaDB or SQLite
// database. It stands on database/sql alone: the host brings the driver and owns the pool.
//
//	db, err := sql.Open("pgx", dsn)
//	...
//	tokens, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL})
//
// The table is the host's to create, with its own migrations; [Schema] offers the
// statement for it. Nothing here runs it. A table that was made before lease_ttl was there
// gets it by
//
//	ALTER TABLE oauth_tokens ADD COLUMN lease_ttl BIGINT NOT NULL DEFAULT 0
//
// # Databases
//
// Compare-and-set is one UPDATE on the revision, which every one of these databases
// applies atomically at its default isolation. No lock outlives a statement, so
// that poolers such as PgBouncer may stand between.
//
// PostgreSQL and MySQL: hand in a pool of the primary. A replica that lags would return
// refresh tokens that are spent.
//
// SQLite: several processes may share one file if the driver opens it in WAL mode with
// a busy timeout of some seconds.
//
// # Errors
//
// ErrNotFound and ErrConflict of package store say what they say there. A failure
// of the database is an [*Error]: it matches telemed.ErrUnavailable if it was a read,
// and telemed.ErrAmbiguous if it may have been written.
//
// # Security
//
// Tokens are written in clear, as store.EncodeToken makes them. Wrap the store with
// store.Sealed to encrypt them. No error text holds a column's value.
//
// # Testing
//
// storetest.Run holds over this package on each of the databases. A host's tests may as
// well use store.NewMemory.
package sqlstore
