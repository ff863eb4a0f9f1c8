// Package sqlstore keeps tokens and claims in two tables of a PostgreSQL, MySQL, MariaDB
// or SQLite database. It stands on database/sql alone: the application brings the driver
// and owns the pool.
//
//	db, err := sql.Open("pgx", dsn)
//	...
//	keys, err := store.NewKeyring(telemed.NewSecret(os.Getenv("SEAL_KEY")))
//	...
//	st, err := sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.PostgreSQL, Seal: keys})
//
// The tables are the application's to create, with its own migrations; [Schema] offers
// the statements for them. Nothing here runs them. An application whose claims table
// grows calls PurgeClaims once a day. A table of tokens that was made before lease_ttl
// was there gets it by
//
//	ALTER TABLE oauth_tokens ADD COLUMN lease_ttl BIGINT NOT NULL DEFAULT 0
//
// # Databases
//
// Compare-and-set is one UPDATE on the revision or the claim's token, which every one of
// these databases applies atomically at its default isolation. No lock outlives a
// statement, so that poolers such as PgBouncer may stand between. Leases of claims end by
// the database's clock: no time of a process's own is in a statement about claims.
//
// PostgreSQL and MySQL: hand in a pool of the primary. A replica that lags would return
// refresh tokens that are spent.
//
// SQLite: several processes may share one file if the driver opens it in WAL mode with a
// busy timeout of some seconds. Its clock is that of the machine.
//
// # Errors
//
// telemed.ErrNotFound, ErrConflict, ErrInvalid and ErrDecrypt say what they say in
// package store. A failure of the database is an [*Error]: it matches
// telemed.ErrUnavailable if nothing can have been written, and telemed.ErrAmbiguous if it
// may have been.
//
// # Security
//
// Tokens and the values of claims are sealed under Config.Seal, each for its own row.
// Keys, status and leases stay readable, because the store looks rows up by them.
// store.Reseal seals both tables anew after a change of keys. No error text holds a
// column's value.
//
// # Testing
//
// storetest.RunShared and storetest.RunClaims hold over this package on each of the
// databases. An application's tests may as well use store.NewMemory.
package sqlstore
