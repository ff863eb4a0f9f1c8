package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // SQLite in Go, without cgo

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/store/sqlstore"
)

// aliveEvery is how often tokens are refreshed that lie unused.
const aliveEvery = 24 * time.Hour

// keepTokensAlive refreshes what lies unused, now and each day, until ctx ends. Providers
// let refresh tokens die after some months: a doctor who comes back from a long leave
// would have to connect again.
func (h *hospital) keepTokensAlive(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		h.refreshIdle(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (h *hospital) refreshIdle(ctx context.Context) {
	for _, source := range h.tokens {
		refreshed, failed, err := source.KeepAlive(ctx)
		if refreshed+failed > 0 || err != nil && ctx.Err() == nil {
			h.log.LogAttrs(ctx, slog.LevelInfo, "idle tokens refreshed",
				slog.Int("refreshed", refreshed), slog.Int("failed", failed), slog.Any("error", err))
		}
	}
}

// recoverTokens saves what an earlier process had bought and could not save any more,
// before anybody asks for a token.
func (h *hospital) recoverTokens() error {
	for _, source := range h.tokens {
		recovered, err := source.Recover(context.Background())
		if recovered > 0 {
			h.log.LogAttrs(context.Background(), slog.LevelInfo, "tokens recovered", slog.Int("recovered", recovered))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keeping is where the doctors' tokens are kept: their records, and a spool that has each
// new token before its record does. The spool is nil if the store does not outlive the process.
// seal is what seals them, nil in memory.
type keeping struct {
	records store.TokenStore
	spool   oauth.Spool
	seal    store.AEAD
}

// openTokens opens SQLite at path and a directory beside it, both sealed, or memory if
// path is empty. The key lies there too, which is good enough to show a restart. A
// hospital keeps it where the database is not.
func openTokens(ctx context.Context, path string) (keeping, func() error, error) {
	if path == "" {
		return keeping{records: store.NewMemory()}, func() error { return nil }, nil
	}
	key, err := sealingKey(path + ".key")
	if err != nil {
		return keeping{}, nil, fmt.Errorf("key for tokens: %w", err)
	}
	ring, err := store.NewKeyring(key)
	if err != nil {
		return keeping{}, nil, err
	}
	spool, err := oauth.NewFileSpool(path+".spool", ring)
	if err != nil {
		return keeping{}, nil, err
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.ToSlash(path)+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		return keeping{}, nil, err
	}
	tokens, err := sqlstore.New(sqlstore.Config{DB: db, Seal: ring, SealStrict: true})
	if err == nil {
		err = tokens.CreateTables(ctx)
	}
	if err != nil {
		return keeping{}, nil, errors.Join(err, db.Close())
	}
	return keeping{tokens, spool, ring}, db.Close, nil
}

// sealingKey reads the key, or makes one the first time.
func sealingKey(path string) (telemed.Secret, error) {
	text, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return telemed.NewSecret(string(text)), err
	}
	key := store.NewKey()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return telemed.Secret{}, err
	}
	_, err = file.WriteString(key.Reveal())
	return key, errors.Join(err, file.Sync(), file.Close())
}

// remember tells the local Google and Zoom of the tokens that they issued before a
// restart. The real ones remember by themselves.
func (h *hospital) remember(tokens keeping) error {
	lister, ok := tokens.records.(store.Lister)
	if !ok {
		return nil
	}
	for rec, err := range lister.List(context.Background(), store.Filter{}) {
		if err != nil {
			return fmt.Errorf("tokens: %w", err)
		}
		switch rec.ID.Provider {
		case "google":
			h.providers.Google.Restore(rec.Token)
		case "zoom":
			h.providers.Zoom.Restore(rec.Token)
		}
	}
	return nil
}
