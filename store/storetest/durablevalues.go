package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// rowExactIDs holds ids that collations, padding, normal forms and patterns take for one.
func rowExactIDs(c *rowsTest) {
	var ids []durable.ID
	for _, name := range lookalikes {
		ids = append(ids, durable.ID{Kind: "visit", Name: name})
	}
	ids = append(ids, []durable.ID{
		{Kind: "visits", Name: "doc"}, {Kind: "visit-2", Name: "doc"}, {Kind: "visit_2", Name: "doc"}, {Kind: "a", Name: "b-c"}, {Kind: "a-b", Name: "c"},
		{Kind: "a", Name: "b_c"}, {Kind: "a_b", Name: "c"}, {Kind: "x", Name: "visit/doc"}, {Kind: "x", Name: "visit:doc"}, {Kind: "xvisit", Name: "doc"},
	}...)
	var rows []durable.Item
	for i, id := range ids {
		rows = append(rows, c.put(durable.Item{ID: id, Tenant: "clinic", Data: []byte(fmt.Sprint("row ", i))}))
	}
	for i := range rows {
		if i%2 == 0 {
			rows[i].Data = append(rows[i].Data, " again"...)
			rows[i] = c.put(rows[i])
		}
	}
	for _, row := range rows {
		c.wantRow(row)
	}
}

func rowNames(c *rowsTest) {
	var rows []durable.Item
	for i, name := range append([]string{
		// One is the beginning of another.
		strings.Repeat("x", durable.MaxName), strings.Repeat("x", durable.MaxName-1) + "y", strings.Repeat("x", durable.MaxName-1),
		strings.Repeat("é", durable.MaxName/2) + "x", strings.Repeat("\U0001f600", durable.MaxName/4),
	}, oddNames...) {
		row := durable.Item{ID: durable.ID{Kind: strings.Repeat("k", 64), Name: name}, Due: noon, Data: []byte(fmt.Sprint("row ", i))}
		row.Tenant = name[:min(len(name), 1)] // a part of its name
		if row.Tenant > "~" {
			row.Tenant = strings.Repeat("t", durable.MaxTenant)
		}
		rows = append(rows, c.put(c.put(row)))
	}
	for _, row := range rows {
		c.wantRow(row)
	}
	ids, err := c.next().Due(c.Context(), durable.Query{Kinds: map[string]int{strings.Repeat("k", 64): 0}, By: noon, Limit: 100})
	if err != nil || len(ids) != len(rows) {
		c.Fatalf("Due: %d rows, %v, want %d, nil", len(ids), err, len(rows))
	}
	found := map[durable.ID]bool{}
	for _, id := range ids {
		found[id] = true
	}
	for _, row := range rows {
		if !found[row.ID] {
			c.Errorf("Due leaves out a row, or changes its name: %q", row.ID.Name)
		}
	}
}

// seal is by how many bytes sealed data may be longer than it was.
const seal = 1 << 10

// longestRow fills its bounds to the byte, but for Data.
func longestRow(id durable.ID) durable.Item {
	return durable.Item{
		ID: id, Tenant: strings.Repeat("é", durable.MaxTenant/2), Stuck: strings.Repeat("s", durable.MaxStuck), Lease: durable.Lease{Owner: strings.Repeat("o", durable.MaxOwner), TTL: durable.MaxTTL},
		Due: noon, EraseAt: noon, Attempts: 1 << 30, Version: 1 << 30, Audit: bytes.Repeat([]byte("a"), durable.MaxAudit), Data: []byte("data"),
	}
}

// rowOutOfBounds are changes that each bring one field of longestRow out of bounds.
var rowOutOfBounds = []struct {
	what, field string
	change      func(*durable.Item)
}{
	{"a kind of one byte too many", "Kind", func(i *durable.Item) { i.ID.Kind = strings.Repeat("k", 65) }},
	{"a name of one byte too many", "Name", func(i *durable.Item) { i.ID.Name = strings.Repeat("n", durable.MaxName+1) }},
	{"a name of 128 characters and 256 bytes", "Name", func(i *durable.Item) { i.ID.Name = strings.Repeat("é", 128) }},
	{"a tenant of one byte too many", "Tenant", func(i *durable.Item) { i.Tenant += "t" }},
	{"a tenant of 128 characters and 256 bytes", "Tenant", func(i *durable.Item) { i.Tenant = strings.Repeat("é", 128) }},
	{"a tenant with NUL", "Tenant", func(i *durable.Item) { i.Tenant = "a\x00" }},
	{"a reason of one byte too many", "Stuck", func(i *durable.Item) { i.Stuck += "s" }},
	{"a reason that is not UTF-8", "Stuck", func(i *durable.Item) { i.Stuck = "cut in the middle of \xc3" }},
	{"an owner of one byte too many", "Lease.Owner", func(i *durable.Item) { i.Lease.Owner += "o" }},
	{"a lease that is too long", "Lease.TTL", func(i *durable.Item) { i.Lease.TTL += time.Millisecond }},
	{"a lease of parts of a millisecond", "Lease.TTL", func(i *durable.Item) { i.Lease.TTL -= time.Microsecond }},
	{"a lease without an owner", "Lease.TTL", func(i *durable.Item) { i.Lease.Owner = "" }},
	{"an owner without a lease", "Lease.TTL", func(i *durable.Item) { i.Lease.TTL = 0 }},
	{"attempts that are negative", "Attempts", func(i *durable.Item) { i.Attempts = -1 }},
	{"too many attempts", "Attempts", func(i *durable.Item) { i.Attempts++ }},
	{"a version that is too high", "Version", func(i *durable.Item) { i.Version++ }},
	{"a time before 1971", "Due", func(i *durable.Item) { i.Due = time.UnixMilli(-1) }},
	{"a time after 9999", "EraseAt", func(i *durable.Item) { i.EraseAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }},
	{"an audit trail of one byte too many", "Audit", func(i *durable.Item) { i.Audit = append(bytes.Clone(i.Audit), 'a') }},
	{"data of one byte too many", "Data", func(i *durable.Item) { i.Data = make([]byte, durable.MaxData+1) }},
	{"a revision of one byte too many", "Revision", func(i *durable.Item) { i.Revision = strings.Repeat("r", durable.MaxOwner+1) }},
}

// rowBounds puts the longest row, which must be kept whole, and rows of one byte too many,
// over one that is there and where there is none.
func rowBounds(c *rowsTest) {
	for _, tooMuch := range rowOutOfBounds {
		row := longestRow(visitID)
		tooMuch.change(&row)
		c.wantRowInvalid("Put of "+tooMuch.what, tooMuch.field, c.wantPutErr("of "+tooMuch.what, row, telemed.ErrInvalid))
	}
	c.wantNoRow(visitID)
	kept := c.put(longestRow(visitID))
	c.wantRow(kept)
	for _, tooMuch := range rowOutOfBounds {
		row := kept
		tooMuch.change(&row)
		c.wantRowInvalid("Put of "+tooMuch.what, tooMuch.field, c.wantPutErr("of "+tooMuch.what, row, telemed.ErrInvalid))
	}
	c.wantRow(kept)
}

// wantRowInvalid fails unless err names the field.
func (c *rowsTest) wantRowInvalid(what, field string, err error) {
	c.Helper()
	for _, named := range telemed.Fields(err) {
		if named.Field == field {
			return
		}
	}
	c.Errorf("%s: the error does not name %s", what, field)
}

func rowInvalid(c *rowsTest) {
	for what, id := range map[string]durable.ID{
		"zero": {}, "no kind": {Name: "doc"}, "no name": {Kind: "visit"}, "kind in capitals": {Kind: "Visit", Name: "doc"}, "kind with a slash": {Kind: "a/b", Name: "doc"},
		"name not UTF-8": {Kind: "visit", Name: "doc\xff"}, "name with NUL": {Kind: "visit", Name: "doc\x00"}, "name with newline": {Kind: "visit", Name: "doc\n"},
	} {
		_, err := c.next().Get(c.Context(), id)
		wantErr(c.T, "Get: "+what, err, telemed.ErrInvalid)
		c.wantPutErr("with "+what, durable.Item{ID: id}, telemed.ErrInvalid)
	}
	good := durable.Query{Kinds: visitKinds, By: noon, Limit: 1}
	for what, change := range map[string]func(*durable.Query){
		"no kinds": func(q *durable.Query) { q.Kinds = nil }, "a kind in capitals": func(q *durable.Query) { q.Kinds = map[string]int{"Visit": 1} },
		"no time": func(q *durable.Query) { q.By = time.Time{} }, "no limit": func(q *durable.Query) { q.Limit = 0 },
		"a limit that is too high": func(q *durable.Query) { q.Limit = durable.MaxLimit + 1 }, "a negative PerTenant": func(q *durable.Query) { q.PerTenant = -1 },
	} {
		q := good
		change(&q)
		_, err := c.next().Due(c.Context(), q)
		wantErr(c.T, "Due: "+what, err, telemed.ErrInvalid)
		if leaser, ok := c.next().(durable.Leaser); ok && what != "a negative PerTenant" {
			_, _, err := leaser.Lease(c.Context(), q, "", aLease("x"))
			wantErr(c.T, "Lease: "+what, err, telemed.ErrInvalid)
		}
	}
	leaser, ok := c.next().(durable.Leaser)
	if !ok {
		return
	}
	row := c.put(aRow("row"))
	for what, lease := range map[string]durable.Lease{
		"no lease": {}, "no owner": {TTL: time.Minute}, "no time": {Owner: "x"}, "an owner that is too long": {Owner: strings.Repeat("x", durable.MaxOwner+1), TTL: time.Minute},
		"parts of a millisecond": {Owner: "x", TTL: time.Second + 1},
	} {
		_, _, err := leaser.Lease(c.Context(), good, "", lease)
		wantErr(c.T, "Lease: "+what, err, telemed.ErrInvalid)
		leaser = c.next().(durable.Leaser)
	}
	c.wantRow(row)
}

// rowData has bytes of every kind and lengths at which columns end.
func rowData(c *rowsTest) {
	every := make([]byte, 256)
	for n := range every {
		every[n] = byte(n)
	}
	noise := make([]byte, durable.MaxData)
	for n := range noise {
		noise[n] = byte(rand.IntN(256))
	}
	row := durable.Item{ID: visitID}
	for _, data := range [][]byte{
		nil, {}, {0}, {1}, []byte("null"), []byte("0"), []byte(" padded "), []byte("ended\x00early"), []byte("\xff\xfe no text"), every,
		[]byte(`"quoted" \back $where %s`), noise[:255], noise[:256], noise[:4000], noise[:8192], noise[:65_535], noise[:65_536], noise[:65_537],
		bytes.Repeat([]byte{0}, 100_000), noise[:durable.MaxData-seal],
	} {
		row.Data, row.Audit = data, data[:min(len(data), durable.MaxAudit)]
		row = c.put(row)
		c.wantRow(row)
	}
	for _, data := range [][]byte{noise, bytes.Repeat([]byte{0xff}, durable.MaxData)} {
		full := row
		full.Data = data
		revision, err := c.next().Put(c.Context(), full)
		if err != nil { // there is no room for a seal
			wantErr(c.T, "Put of the longest data", err, telemed.ErrInvalid)
			c.wantRowInvalid("Put of the longest data", "Data", err)
			c.wantRow(row)
			continue
		}
		full.Revision = revision
		row = full
		c.wantRow(row)
	}
}
