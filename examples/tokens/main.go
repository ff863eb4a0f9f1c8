// Command tokens shows the life of a doctor's token in SQLite. It is stored sealed,
// refreshed once for many callers, sealed again under a new key, and revoked. Zoom runs
// on this machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
)

const doctorID = "dr-rao"

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal("tokens: ", err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	var providers local.Providers
	defer providers.Close()
	open, closeDatabase, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer closeDatabase()
	return live(ctx, out, &providers, open)
}

// live walks through the token's life. Three stores over one table are three servers
// during a deploy of a new key.
func live(ctx context.Context, out io.Writer, providers *local.Providers, open opener) error {
	oldKey, newKey := store.NewKey(), store.NewKey()
	before, err1 := open(oldKey)
	during, err2 := open(newKey, oldKey)
	after, err3 := open(newKey)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	cfg, meetings, err := connectDoctor(ctx, providers, before)
	if err != nil {
		return err
	}
	defer func() { _ = meetings.Shutdown(ctx) }()
	keyring, err := store.NewKeyring(newKey)
	if err != nil {
		return err
	}
	doctors, err := connect.New(connect.Config{
		Providers: []oauth.Provider{meetings.OAuth()}, Tokens: after, Seal: keyring, ReturnURL: "http://127.0.0.1:3001/done",
		Subject: func(*http.Request) (string, error) { return doctorID, nil },
	})
	if err != nil {
		return err
	}
	key := store.AccountID{Provider: meetings.OAuth().Name, Subject: doctorID}
	rec, err := before.Get(ctx, key)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "connected:", key, "with token", rec.Token.Access)

	fake := providers.Zoom
	fake.ExpireTokens()
	if err := herd(ctx, cfg, key, rec.Token.Access); err != nil {
		return err
	}
	fmt.Fprintf(out, "16 callers in 2 processes: %d refresh, %d tokens spent twice\n", fake.Refreshes(), fake.Reuses())

	n, err := store.Reseal(ctx, during)
	_, newErr := after.Get(ctx, key)
	if err := errors.Join(err, newErr); err != nil {
		return err
	}
	_, oldErr := before.Get(ctx, key)
	fmt.Fprintf(out, "keys rotated: %d sealed again, the new key reads it, the old key does not: %t\n", n, errors.Is(oldErr, telemed.ErrDecrypt))

	revoked, err := doctors.Forget(ctx, key)
	if err != nil {
		return err
	}
	_, gone := after.Get(ctx, key)
	fmt.Fprintf(out, "disconnected: revoked at Zoom: %t, gone from the database: %t\n", revoked, errors.Is(gone, telemed.ErrNotFound))
	return nil
}
