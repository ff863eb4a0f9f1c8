package storetest

import (
	"fmt"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// lookalikes are names that some databases take for one another.
var lookalikes = []string{
	// The last one is Cyrillic.
	"doc", "Doc", "DOC", "doc ", " doc", "doc\u00a0", "doc\u200b", "do\u0441",
	"caf\u00e9", "cafe\u0301", "cafe", // composed, decomposed, plain
	"stra\u00dfe", "strasse", "\u0131d", "id", "\uff11", "1", "01", "1.0",
	"doc\U0001f600", "doc\U0001f601", "do\u00adc", "\u304b", "\u304c", "\u30ab", "\u212b", "\u00c5",
	"a+b", "a b", "a%20b", "a%2Fb", "1e0", "+1", "0x1", "true", "a\\b", "a/../b",
	"a%", "a_", "ab", "a*", "a.b", "a:b", "a", "b", "a/b", "a//b", "a/b/", "null", "NULL", "\"doc\"", "'doc'",
}

// exactKeys holds pairs that collations, padding, normal forms and patterns take for one.
func exactKeys(c *tokensTest) {
	var kept []store.Record
	for i, subject := range lookalikes {
		kept = append(kept, c.put(small(store.AccountID{Provider: "zoom", Subject: subject}, fmt.Sprint("token-", i))))
	}
	for i, key := range []store.AccountID{
		{Provider: "google", Subject: "doc"}, {Provider: "zoom-2", Subject: "doc"}, {Provider: "zoom_2", Subject: "doc"},
		{Provider: "zoom", Subject: "google:doc"}, {Provider: "a", Subject: "b:c"}, {Provider: "a-b", Subject: "c"},
		{Provider: "a", Subject: "b-c"}, {Provider: "a_b", Subject: "c"}, {Provider: "a", Subject: "b_c"},
	} {
		kept = append(kept, c.put(small(key, fmt.Sprint("provider-", i))))
	}
	for _, rec := range kept {
		c.wantStored(rec)
	}
	c.delete(kept[0].ID)
	c.wantAbsent(kept[0].ID)
	for _, rec := range kept[1:] {
		c.wantStored(rec)
	}
}

// oddNames are names that a careless statement or path stumbles over.
var oddNames = []string{
	"a", "'; DROP TABLE tokens; --", `back\slash`, `"quoted"`, "`ticks`", "$where", "$1 ? :name @p1", "{{.}}", "../../etc", "/", ".", "..",
	"doctor@hospital.example", "%00", "\ufffd", "\u202eright to left", "नमस्ते", "医生",
}

func subjects(c *tokensTest) {
	var kept []store.Record
	for i, subject := range append([]string{
		// One is the beginning of another.
		strings.Repeat("x", 255), strings.Repeat("x", 254) + "y", strings.Repeat("x", 254),
		strings.Repeat("é", 127) + "x", strings.Repeat("\U0001f600", 63),
	}, oddNames...) {
		rec := small(store.AccountID{Provider: strings.Repeat("p", 64), Subject: subject}, fmt.Sprint("token-", i))
		kept = append(kept, c.put(c.put(rec)))
	}
	for _, rec := range kept {
		c.wantStored(rec)
	}
	for _, rec := range kept {
		c.delete(rec.ID)
		c.wantAbsent(rec.ID)
	}
}

func invalidKeys(c *tokensTest) {
	for name, key := range map[string]store.AccountID{
		"zero": {}, "no provider": {Subject: "doc"}, "no subject": {Provider: "zoom"},
		"provider in capitals": {Provider: "Zoom", Subject: "doc"}, "provider with a colon": {Provider: "zoom:x", Subject: "doc"},
		"provider of 65 bytes":                    {Provider: strings.Repeat("p", 65), Subject: "doc"},
		"subject of 256 bytes":                    {Provider: "zoom", Subject: strings.Repeat("x", 256)},
		"subject of 128 characters and 256 bytes": {Provider: "zoom", Subject: strings.Repeat("é", 128)},
		"subject not UTF-8":                       {Provider: "zoom", Subject: "doc\xff"},
		"subject with NUL":                        {Provider: "zoom", Subject: "doc\x00"},
		"subject with newline":                    {Provider: "zoom", Subject: "doc\n"},
	} {
		_, err := c.next().Get(c.Context(), key)
		wantErr(c.T, "Get: "+name, err, telemed.ErrInvalid)
		c.wantPutErr("with "+name, small(key, "one"), telemed.ErrInvalid)
		wantErr(c.T, "Delete: "+name, c.next().Delete(c.Context(), key), telemed.ErrInvalid)
	}
}
