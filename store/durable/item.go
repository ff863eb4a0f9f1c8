package durable

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// ID names a row. It is written down as it is, so it has ids in it and nobody's name.
type ID struct {
	// Kind is what the row is of: "order", "visit". 1 to 64 characters of a-z, 0-9, _ and -.
	Kind string
	// Name is the application's id of it, unique within the kind over all tenants: 1 to
	// MaxName bytes of UTF-8 without control characters. IDs that differ in any byte are
	// different.
	Name string
}

// String is the kind and the name.
func (id ID) String() string { return id.Kind + "/" + id.Name }

// Lease is whose hands a row is in. The zero value is nobody's.
type Lease struct {
	// Owner is random text of at most MaxOwner bytes.
	Owner string
	// TTL is how long the row must have been seen to stand still before somebody else
	// takes it over, in whole milliseconds.
	TTL time.Duration
}

// Item is a row. Times are kept in milliseconds.
type Item struct {
	ID ID
	// Tenant is whose row it is, in an application that serves several clinics: at most
	// MaxTenant bytes. Rows that are due are taken fairly by it. It does not change.
	Tenant string
	// Due is when there is something to do. Zero: nothing is.
	Due time.Time
	// Lease is whose hands it is in. Whoever changes a row leaves it as it is.
	Lease Lease
	// Attempts counts failures of the effect that is next, and deaths of the process that
	// had the row in hand. It is 0 after a success.
	Attempts int
	// Stuck says why a person must look, at most MaxStuck bytes without anything of a
	// person in them. A stuck row is not due before somebody sets Due. Empty: it is not
	// stuck.
	Stuck string
	// EraseAt is when the row may be deleted. Zero: never.
	EraseAt time.Time
	// Version is that of Data's format. Who does not know it leaves the row alone.
	Version int
	// Audit stays readable: ids, states and times, nothing of a person. At most MaxAudit
	// bytes.
	Audit []byte
	// Data is what the kind keeps, at most MaxData bytes. Stores seal it.
	Data []byte
	// Revision is random text that each write makes new. Empty in a row that is to be
	// created.
	Revision string
}

// The bounds of an Item, in bytes.
const (
	MaxName   = 255
	MaxTenant = 128
	MaxOwner  = 64
	MaxStuck  = 255
	MaxAudit  = 64 << 10
	MaxData   = 256 << 10
)

// MaxTTL is the longest lease.
const MaxTTL = 24 * time.Hour

// CheckID names what is wrong with id. Stores call it first.
func CheckID(id ID) error {
	var p fault.Problems
	checkID(&p, id)
	return p.Err("durable")
}

// CheckItem names what is wrong with item. Stores call it before they write anything.
func CheckItem(item Item) error {
	var p fault.Problems
	checkID(&p, item.ID)
	checkText(&p, "Tenant", item.Tenant, MaxTenant)
	checkText(&p, "Stuck", item.Stuck, MaxStuck)
	checkText(&p, "Revision", item.Revision, MaxOwner)
	checkTime(&p, "Due", item.Due)
	checkTime(&p, "EraseAt", item.EraseAt)
	p.Check(item.Attempts >= 0 && item.Attempts <= 1<<30, "Attempts", "is negative or too large")
	p.Check(item.Version >= 0 && item.Version <= 1<<30, "Version", "is negative or too large")
	p.Check(len(item.Audit) <= MaxAudit, "Audit", "is longer than %d bytes", MaxAudit)
	p.Check(len(item.Data) <= MaxData, "Data", "is longer than %d bytes", MaxData)
	checkLease(&p, item.Lease)
	return p.Err("durable: item")
}

func checkID(p *fault.Problems, id ID) {
	p.Check(validKind(id.Kind), "Kind", "is not 1 to 64 characters of a-z, 0-9, _ and -")
	p.Required("Name", id.Name)
	checkText(p, "Name", id.Name, MaxName)
}

func checkLease(p *fault.Problems, lease Lease) {
	checkText(p, "Lease.Owner", lease.Owner, MaxOwner)
	if lease.Owner == "" {
		p.Check(lease.TTL == 0, "Lease.TTL", "is set, and Lease.Owner is not")
		return
	}
	p.Check(lease.TTL >= time.Millisecond && lease.TTL <= MaxTTL, "Lease.TTL", "is not between a millisecond and a day")
	p.Check(lease.TTL%time.Millisecond == 0, "Lease.TTL", "is not in whole milliseconds")
}

func checkText(p *fault.Problems, field, text string, limit int) {
	p.Check(len(text) <= limit, field, "is longer than %d bytes", limit)
	p.Check(utf8.ValidString(text) && !slices.ContainsFunc([]rune(text), unicode.IsControl), field, "is not UTF-8 without control characters")
}

func checkTime(p *fault.Problems, field string, t time.Time) {
	p.Check(t.IsZero() || t.Year() >= 1971 && t.Year() <= 9999, field, "is not between 1971 and 9999")
}

func validKind(kind string) bool {
	for _, r := range kind {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return kind != "" && len(kind) <= 64
}

// Clone returns a copy that shares nothing.
func (i Item) Clone() Item {
	i.Audit, i.Data = slices.Clone(i.Audit), slices.Clone(i.Data)
	return i
}

// Kept returns item as a Store keeps it: times in milliseconds, in UTC. Stores call it.
func Kept(item Item) Item {
	item = item.Clone()
	item.Due, item.EraseAt = millis(item.Due), millis(item.EraseAt)
	return item
}

func millis(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// LogValue tells what is no person's.
func (i Item) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", i.ID.Kind), slog.String("name", i.ID.Name), slog.Time("due", i.Due),
		slog.Int("attempts", i.Attempts), slog.String("stuck", i.Stuck), slog.Int("version", i.Version))
}

// Format prints what LogValue tells, whatever the verb.
func (i Item) Format(f fmt.State, _ rune) { redact.Format(f, i) }
