package storetest

import (
	"strings"
	"testing"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// fillings put a text into each part of a token that may be long.
var fillings = map[string]func(t *store.Token, text string){
	"access":  func(t *store.Token, text string) { t.Access = telemed.NewSecret(text) },
	"refresh": func(t *store.Token, text string) { t.Refresh = telemed.NewSecret(text) },
	"type":    func(t *store.Token, text string) { t.Type = text },
	"scopes":  func(t *store.Token, text string) { t.Scopes = []string{text} },
	"email":   func(t *store.Token, text string) { t.Account.Email = text },
	"extra":   func(t *store.Token, text string) { t.Extra = map[string]string{"a": text} },
}

// longest returns a record that fills its bounds to the byte, most of it in one part of
// its token.
func longest(t *testing.T, id store.AccountID, part string) store.Record {
	t.Helper()
	rec := small(id, "token")
	rec.Status = store.Status(strings.Repeat("s", store.MaxStatus))
	rec.Reason = strings.Repeat("é", store.MaxReason/2)
	rec.Lease.Owner = strings.Repeat("o", store.MaxOwner)
	fill := fillings[part]
	fill(&rec.Token, "a")
	encoded, err := store.EncodeToken(rec.Token)
	if err != nil {
		t.Fatalf("EncodeToken: %v", err)
	}
	fill(&rec.Token, strings.Repeat("a", store.MaxToken-len(encoded)+1))
	return rec
}

// outOfBounds are changes that each bring one field of longest out of bounds.
var outOfBounds = []struct {
	what, field string
	change      func(*store.Record)
}{
	{"a status of one byte too many", "Record.Status", func(r *store.Record) { r.Status += "s" }},
	{"a reason of one byte too many", "Record.Reason", func(r *store.Record) { r.Reason += "r" }},
	{"an owner of one byte too many", "Record.Lease.Owner", func(r *store.Record) { r.Lease.Owner += "o" }},
	{"a token of one byte too many", "Record.Token", func(r *store.Record) { r.Token.Refresh = telemed.NewSecret(r.Token.Refresh.Reveal() + "a") }},
	{"a status of 32 characters and 64 bytes", "Record.Status", func(r *store.Record) { r.Status = store.Status(strings.Repeat("é", store.MaxStatus)) }},
	{"a reason of 1024 characters and 2048 bytes", "Record.Reason", func(r *store.Record) { r.Reason = strings.Repeat("é", store.MaxReason) }},
	{"an owner of 64 characters and 128 bytes", "Record.Lease.Owner", func(r *store.Record) { r.Lease.Owner = strings.Repeat("é", store.MaxOwner) }},
	{"a reason that is not UTF-8", "Record.Reason", func(r *store.Record) { r.Reason = "cut in the middle of \xc3" }},
	{"a reason with NUL", "Record.Reason", func(r *store.Record) { r.Reason = "a\x00b" }},
	{"a status with NUL", "Record.Status", func(r *store.Record) { r.Status = "a\x00b" }},
	{"an owner that is not UTF-8", "Record.Lease.Owner", func(r *store.Record) { r.Lease.Owner = "\xff" }},
	{"a token that is not UTF-8", "Record.Token", func(r *store.Record) { r.Token.Access = telemed.NewSecret("\xff") }},
}

// bounds puts the longest record, which must be kept whole, and records of one byte too
// many, over one that is there and where there is none.
func bounds(c *tokensTest) {
	for _, tooMuch := range outOfBounds {
		rec := longest(c.T, key, "access")
		tooMuch.change(&rec)
		c.wantOutOfBounds(tooMuch.what, tooMuch.field, rec)
	}
	c.wantAbsent(key)
	for part := range fillings {
		kept := c.put(longest(c.T, key, part))
		c.wantStored(kept)
		c.delete(key)
	}
	kept := c.put(longest(c.T, key, "access"))
	for _, tooMuch := range outOfBounds {
		rec := kept
		tooMuch.change(&rec)
		c.wantOutOfBounds(tooMuch.what, tooMuch.field, rec)
	}
	c.wantStored(kept)
	for _, length := range []int{255, 256, 1023} { // where columns end
		kept.Reason = strings.Repeat("r", length)
		kept = c.put(kept)
		c.wantStored(kept)
	}
}

func (c *tokensTest) wantOutOfBounds(what, field string, rec store.Record) {
	c.Helper()
	err := c.wantPutErr("of "+what, rec, telemed.ErrInvalid)
	if fields := telemed.Fields(err); len(fields) != 1 || fields[0].Field != field {
		c.Errorf("Put of %s: the error does not name %s alone", what, field)
	}
}
