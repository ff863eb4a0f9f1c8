// Package sqlstore keeps tokens, claims and durable rows in three tables of a PostgreSQL,
// MySQL, MariaDB or SQLite database. It stands on database/sql alone: the application
// brings the driver and owns the pool.
//
//	db, err := sql.Open("pgx", dsn)
//	...
//	keys, err := store.NewKeyring(telemed.NewSecret(os.Getenv("SEAL_KEY")))
//	...
//	st, err := sqlstore.New(sqlstore.Config{DB: db, Seal: keys})
//	...
//	err = st.CreateTables(ctx, schema) // and the application's own
//
// An application that has migrations puts the statements of [Schema] there, and does not
// call [Store.CreateTables]. One whose claims table grows calls PurgeClaims once a day. A
// table of tokens that was made before lease_ttl was there gets it by
//
//	ALTER TABLE oauth_tokens ADD COLUMN lease_ttl BIGINT NOT NULL DEFAULT 0
//
// # Durable rows
//
// [Store.Rows] is a durable.Store that has all a durable.Runner can use. A row that is to
// be written if and only if the application's own rows are, is written in the same
// transaction: [Store.InTx] begins one and repeats it where that helps, and its [Tx] takes
// the application's statements too; [Rows.WithTx] takes one that the application has begun.
//
// Rows are leased in one statement on PostgreSQL, and in a transaction of some on the
// others. Processes do not want the same rows: what one has locked, the others skip.
// Tenants take turns, so that nobody waits for another one's campaign. Measured on two
// cores that other work shared, PostgreSQL 15, four processes:
//
//   - An idle poll reads 3 buffers of PostgreSQL, however many rows are due later; 3 more
//     for each further kind.
//   - Of 100,000 rows that one tenant has due, each is worked once. Another tenant's row
//     that falls due meanwhile begins within 0.1 s.
//   - With 100 workers each they made 2,400 steps a second of rows of 2 KB, 0.47 of the jobs
//     that River made in turn, which do nothing; with 32 workers 0.24 to 0.41. See
//     BenchmarkBesideRiver of store/durable/river. Most of it is that each fact is
//     committed by itself.
//
// A transaction that is left open keeps PostgreSQL from removing what rows have been, and
// slows them down: watch the age of the oldest backend_xmin in pg_stat_activity. A table
// that is worked hard wants autovacuum_naptime at some seconds.
//
// # Databases
//
// Compare-and-set is one UPDATE on the revision or the claim's token, which every one of
// these databases applies atomically at its default isolation. Outside [Store.InTx] and
// [Rows.WithTx] no lock outlives a statement, or a few of them where rows are leased, so
// that poolers such as PgBouncer may stand between. Leases of claims end by the database's
// clock: no time of a process's own is in a statement about claims. Leases of rows end
// when somebody has seen them stand still for long enough: no time is compared at all.
//
// PostgreSQL and MySQL: hand in a pool of the primary. A replica that lags would return
// refresh tokens that are spent.
//
// SQLite: several processes may share one file if it is in WAL mode, which CreateTables
// sees to, and the driver opens it with a busy timeout of some seconds. Its clock is that
// of the machine. Transactions that read before they write begin with the lock for writing,
// or fail when others write: have the driver open them by BEGIN IMMEDIATE
// (_txlock=immediate).
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
// Tokens, the values of claims and the Data of rows are sealed under Config.Seal, each for
// its own row. Keys, status, leases and a row's Audit stay readable: the store looks rows
// up by them, or people do. store.Reseal seals tokens and claims anew after a change of
// keys; a durable row is sealed anew when it is next written, so keep an old key for as
// long as rows are kept. No error text holds a column's value, but for the ID of a durable
// row.
//
// # Testing
//
// storetest.RunShared, RunClaims and RunDurable hold over this package on each of the
// databases. An application's tests may as well use store.NewMemory.
package sqlstore
