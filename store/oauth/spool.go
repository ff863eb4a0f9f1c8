package oauth

import (
	"context"
	"fmt"
	"iter"
	"log/slog"

	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/store"
)

// Spool keeps new tokens outside the database until that has them, so that they outlive
// the process: a kill while the database is slow, or a deploy while it is down, would
// otherwise lose every token that a rotating provider gave meanwhile. [FileSpool] is one.
//
// Each token is kept before it is saved, and dropped after, which callers do not wait
// for. A spool that fails or hangs holds nothing up for more than 3 seconds.
// Implementations are safe for concurrent use, encrypt what they keep, and may be shared
// by processes.
type Spool interface {
	// Keep stores u. When it returns nil, u survives the process and the machine's power.
	Keep(ctx context.Context, u Unsaved) error
	// List yields what is kept, and at most one error, last. The body of the loop may use
	// the Spool.
	List(ctx context.Context) iter.Seq2[Unsaved, error]
	// Drop removes u. Absent: nil.
	Drop(ctx context.Context, u Unsaved) error
}

// Unsaved is a token that is not in the store yet.
type Unsaved struct {
	// ID says whose it is.
	ID store.AccountID
	// Spent is the token that it was bought with. If the record holds another one, Token
	// is obsolete.
	Spent store.Token
	// Token is the new one.
	Token store.Token
}

// LogValue tells the account, without the subject.
func (u Unsaved) LogValue() slog.Value { return u.ID.LogValue() }

// Format tells the same for every verb.
func (u Unsaved) Format(f fmt.State, _ rune) { redact.Format(f, u) }
