// Package integration proves the stores, and what stands on them up to the whole visit,
// on real databases and in real processes. It is a module of its own, so that the drivers
// it needs reach nobody's go.sum.
//
//	cd internal/integration && go test ./...
//
// SQLite always runs. TELEMED_POSTGRES_DSN (for pgx) and TELEMED_MARIADB_DSN (for
// go-sql-driver/mysql) name databases in which the tests may create and drop tables;
// without them those tests are skipped. .ci/databases starts such servers, and .ci/mailservers
// real mail servers for notify/smtp, in the folder that TELEMED_MAIL_SERVERS names. What they
// deliver is read by npm's mailparser, in TELEMED_NODE_MODULES. The runs with
// kill -9 take as long as -kill.for says.
//
// SQLite's driver is ncruces/go-sqlite3: it links 4 modules and needs 10 lines of go.sum,
// where modernc.org/sqlite links 8 and needs 50. Its file locking is its own and younger
// than SQLite's; four processes on one file, killed at random, are a test of that too.
package integration
