package sqlstore

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Error is a failure of the database. It has the database's code but not its words, which
// may quote a key ("Duplicate entry 'zoom-…'") or an address. The driver's error is not
// kept.
type Error struct {
	// Op is the method: "Get", "Put", "Delete", "List", "Claim", "Complete", "Release",
	// "PurgeClaims" or "ResealClaims"; "Rows.Get" and so on for rows; "InTx", "ExecOne",
	// "CreateTables".
	Op string
	// Code is the SQLSTATE, or what the driver has instead: a number, or SQLite's text
	// for it. Empty if the database did not answer.
	Code string

	kind  error
	cause error // of fixed text; may be nil
}

// Error returns a text such as "sqlstore: Put (code 57P01): outcome unknown".
func (e *Error) Error() string {
	return fault.Text{
		Package: "sqlstore", Op: e.Op, Codes: []fault.Code{{Label: "code", Word: strings.ReplaceAll(e.Code, " ", "_")}},
		Kind: e.kind, Detail: fault.Reason(e.cause),
	}.String()
}

// LogValue is Error.
func (e *Error) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// Format prints what LogValue tells, whatever the verb.
func (e *Error) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// Is ties the error to telemed.ErrUnavailable if nothing can have been written, to
// telemed.ErrConflict if the database has undone a whole transaction for another one's
// sake, else to telemed.ErrAmbiguous. What the database refuses of the application's own
// statements is none of these.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns what is known of the cause: the end of a context, the operating system's
// error for a connection, or nil.
func (e *Error) Unwrap() error { return e.cause }

// unavailable is the failure of a statement that can have written nothing.
func unavailable(op string, err error) error {
	return &Error{Op: op, Code: code(err), kind: telemed.ErrUnavailable, cause: fault.Cause(err)}
}

// ambiguous is the failure of a statement that may have been carried out all the same.
func ambiguous(op string, err error) error {
	return &Error{Op: op, Code: code(err), kind: telemed.ErrAmbiguous, cause: fault.Cause(err)}
}

// rolledBack reports whether the database undid a statement because of another one: what
// an isolation level above the default makes of a lost race (PostgreSQL's 40001), and
// deadlocks (40P01, MySQL's 1213).
func rolledBack(err error) bool { return undoes(code(err)) }

func undoes(code string) bool { return slices.Contains([]string{"40001", "40P01", "1213"}, code) }

// busy reports whether a code is SQLite's for a file that somebody else has: nothing was
// written. Numbers are those of SQLITE_BUSY and its kinds.
func (d Dialect) busy(code string) bool {
	return d == SQLite && slices.Contains([]string{"database is locked", "5", "261", "517", "773"}, code)
}

// beginning is how the texts of go-sql-driver/mysql ("Error 1062 (23000): …"),
// ncruces/go-sqlite3 ("sqlite3: database is locked: …") and mattn/go-sqlite3 ("database is
// locked") begin; their types have no method that needs no import.
var beginning = regexp.MustCompile(`^(?:Error (\d{3,5})\b|sqlite3: ([A-Za-z ]+)|(database is locked))`)

// code asks err for its code in the ways of the known drivers, none of which is imported.
func code(err error) string {
	var state interface{ SQLState() string } // pgx and pq
	if errors.As(err, &state) {
		return state.SQLState()
	}
	var number interface{ Code() int } // modernc.org/sqlite
	if errors.As(err, &number) {
		return strconv.Itoa(number.Code())
	}
	if match := beginning.FindStringSubmatch(err.Error()); match != nil {
		return match[1] + match[2] + match[3]
	}
	return ""
}
