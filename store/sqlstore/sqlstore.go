package sqlstore

import (
	"context"
	"database/sql"
	"iter"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// Config configures a Store.
type Config struct {
	// DB is the application's pool, of the primary. The Store never closes it. Required.
	DB *sql.DB
	// Dialect is the SQL that DB speaks. If zero, that of DB's driver, if it is one of pgx,
	// lib/pq, go-sql-driver/mysql, ncruces/go-sqlite3, mattn/go-sqlite3 and
	// modernc.org/sqlite. Required for others, and for drivers that wrap one of these.
	Dialect Dialect

	// Seal encrypts tokens, the values of claims and the Data of durable rows before they
	// are written down: a store.Keyring, a Tink keyset, or a key management service. Required, or
	// InsecureClear.
	Seal store.AEAD
	// SealStrict refuses what is in the table in clear: telemed.ErrDecrypt. Without it,
	// such a token or value is passed through, and sealed when it is next written. Set it
	// once store.Reseal has been through the table: whoever can write to the database
	// could plant a token in clear otherwise.
	SealStrict bool
	// InsecureClear writes tokens, values and Data in clear. Whoever reads the database or a
	// backup of it can act as every doctor.
	InsecureClear bool

	// Table is the name of the table of tokens, with a schema before it or not
	// ("app.oauth_tokens"), of letters, digits and _. It is used unquoted. If empty,
	// DefaultTable.
	Table string
	// ClaimsTable is the name of the table of claims, of the same form. If empty,
	// DefaultClaimsTable.
	ClaimsTable string
	// RowsTable is the name of the table of durable rows, of the same form; the part after
	// the dot is at most 50 characters long. If empty, DefaultRowsTable.
	RowsTable string
}

const (
	// DefaultTable is the table of tokens if Config names none.
	DefaultTable = "oauth_tokens"
	// DefaultClaimsTable is the table of claims if Config names none.
	DefaultClaimsTable = "telemed_claims"
	// DefaultRowsTable is the table of durable rows if Config names none.
	DefaultRowsTable = "telemed_rows"
)

func (c *Config) setDefaults() {
	if c.Dialect == 0 && c.DB != nil {
		c.Dialect = dialectOf(c.DB)
	}
	if c.Table == "" {
		c.Table = DefaultTable
	}
	if c.ClaimsTable == "" {
		c.ClaimsTable = DefaultClaimsTable
	}
	if c.RowsTable == "" {
		c.RowsTable = DefaultRowsTable
	}
}

func (c *Config) check(p *fault.Problems) {
	p.Check(c.Dialect != 0 || c.DB == nil, "Dialect", "is required: DB's driver is none of those that are known")
	p.Check(c.Dialect == 0 || c.Dialect.known(), "Dialect", "is not PostgreSQL, MySQL or SQLite")
	p.Check(tableName.MatchString(c.Table), "Table", "is not a name of letters, digits and _")
	p.Check(tableName.MatchString(c.ClaimsTable), "ClaimsTable", "is not a name of letters, digits and _")
	p.Check(tableName.MatchString(c.RowsTable), "RowsTable", "is not a name of letters, digits and _")
	p.Check(len(unqualified(c.RowsTable)) <= maxRowsTable, "RowsTable", "is longer than %d characters", maxRowsTable)
	p.Check(!strings.EqualFold(c.Table, c.ClaimsTable), "ClaimsTable", "is the same as Table")
	p.Check(!strings.EqualFold(c.RowsTable, c.Table), "RowsTable", "is the same as Table")
	p.Check(!strings.EqualFold(c.RowsTable, c.ClaimsTable), "RowsTable", "is the same as ClaimsTable")
}

func (c *Config) checkSeal(p *fault.Problems) {
	p.Check(c.Seal != nil || c.InsecureClear, "Seal", "is required, or InsecureClear")
	p.Optional("Seal", c.Seal)
	p.Check(c.Seal == nil || !c.InsecureClear, "InsecureClear", "is set beside Seal")
	p.Check(c.Seal != nil || !c.SealStrict, "SealStrict", "is set without Seal")
}

// Schema returns the statements that create the tables of cfg, for the application's own
// migrations: one CREATE TABLE for tokens, one for claims, one for durable rows, and their
// indexes. Running them again does no harm. Only cfg's Dialect, or DB, and tables count;
// their names have the same defaults as in New. The result is empty if New would not take
// them. [Store.CreateTables] runs them.
func Schema(cfg Config) []string {
	cfg.setDefaults()
	var p fault.Problems
	if cfg.check(&p); p.Err("sqlstore") != nil || cfg.Dialect == 0 {
		return nil
	}
	return append([]string{
		cfg.Dialect.schema("tokens", DefaultTable, cfg.Table),
		cfg.Dialect.schema("claims", DefaultClaimsTable, cfg.ClaimsTable),
	}, cfg.Dialect.rowsSchema(cfg.RowsTable)...)
}

// Store keeps tokens, claims and durable rows in the tables that [Schema] describes. It is
// a store.TokenStore and store.Lister, and store.Claims, store.ClaimsPurger and
// store.ClaimsResealer; Rows returns the rows. It is safe for concurrent use, by many
// processes too.
type Store struct {
	tokens listingStore
	claims *claims
	rows   *Rows
	schema []string
}

var (
	_ listingStore         = (*Store)(nil)
	_ store.Claims         = (*Store)(nil)
	_ store.ClaimsPurger   = (*Store)(nil)
	_ store.ClaimsResealer = (*Store)(nil)
)

type listingStore interface {
	store.TokenStore
	store.Lister
}

// New returns a Store, or an error that names everything that is wrong with cfg. It does
// not ask the database.
func New(cfg Config) (*Store, error) {
	cfg.setDefaults()
	var p fault.Problems
	p.Check(cfg.DB != nil, "DB", "is required")
	cfg.check(&p)
	cfg.checkSeal(&p)
	if err := p.Err("sqlstore"); err != nil {
		return nil, err
	}
	db := database{cfg.DB, cfg.Dialect}
	sealer := store.Sealer{AEAD: cfg.Seal, Strict: cfg.SealStrict}
	return &Store{
		tokens: sealed(&tokens{db, cfg.Dialect.tokenStatements(cfg.Table)}, cfg),
		claims: &claims{db, cfg.Dialect.claimStatements(cfg.ClaimsTable), sealer},
		rows: &Rows{
			dialect: cfg.Dialect, db: cfg.DB, table: cfg.RowsTable, sealer: sealer,
			sql: cfg.Dialect.rowStatements(cfg.RowsTable),
		},
		schema: Schema(cfg),
	}, nil
}

func sealed(table *tokens, cfg Config) listingStore {
	switch {
	case cfg.Seal == nil:
		return table
	case cfg.SealStrict:
		return store.SealedStrict(table, cfg.Seal).(listingStore) // it lists, because table does
	}
	return store.Sealed(table, cfg.Seal).(listingStore)
}

// Get implements store.TokenStore.
func (s *Store) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
	return s.tokens.Get(ctx, key)
}

// Put implements store.TokenStore. If the database's answer is lost, Put looks once
// whether the write has landed.
func (s *Store) Put(ctx context.Context, rec store.Record) (string, error) {
	return s.tokens.Put(ctx, rec)
}

// Delete implements store.TokenStore. If the database rolls it back for another's write,
// it is tried again.
func (s *Store) Delete(ctx context.Context, key store.AccountID) error {
	return s.tokens.Delete(ctx, key)
}

// List implements store.Lister, ordered by provider and subject. It reads page after page
// and holds no connection while the caller works on a record. A row that is not a record
// does not hide the others: the first one is the error at the end.
func (s *Store) List(ctx context.Context, filter store.Filter) iter.Seq2[store.Record, error] {
	return s.tokens.List(ctx, filter)
}

// Claim implements store.Claims. If the database's answer is lost, Claim looks once
// whether the key is the caller's. If that is not to be learnt either, the error matches
// telemed.ErrAmbiguous: the key may be Busy until the lease has run out.
func (s *Store) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	return s.claims.claim(ctx, key, lease)
}

// Complete implements store.Claims. An error that matches telemed.ErrAmbiguous leaves
// open whether it happened: call it again with the same arguments.
func (s *Store) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	return s.claims.complete(ctx, key, token, value, keep)
}

// Release implements store.Claims.
func (s *Store) Release(ctx context.Context, key, token string) error {
	return s.claims.release(ctx, key, token)
}

// PurgeClaims implements store.ClaimsPurger. It goes through the table by its primary
// key, some hundred rows at a time, and locks only rows that it deletes.
func (s *Store) PurgeClaims(ctx context.Context) (int, error) { return s.claims.purge(ctx) }

// ResealClaims implements store.ClaimsResealer, for store.Reseal.
func (s *Store) ResealClaims(ctx context.Context) (int, error) { return s.claims.reseal(ctx) }
