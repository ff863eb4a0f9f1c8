package mongostore

import (
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/telemed-go/telemed/store/durable"
)

// rowDocument is a row as it is written down. Due and EraseAt are left out if they are
// zero: nothing is found by a date that is not there.
type rowDocument struct {
	ID       string        `bson:"_id"` // kind/name; a kind has no slash
	Kind     string        `bson:"kind"`
	Name     string        `bson:"name"`
	Tenant   string        `bson:"tenant"`
	Due      bson.DateTime `bson:"due,omitempty"`
	Owner    string        `bson:"owner"`
	TTL      int64         `bson:"ttl"` // milliseconds
	Attempts int64         `bson:"attempts"`
	Stuck    string        `bson:"stuck"`
	EraseAt  bson.DateTime `bson:"eraseAt,omitempty"`
	Version  int64         `bson:"version"`
	Audit    []byte        `bson:"audit"`
	Data     []byte        `bson:"data"`
	Revision string        `bson:"rev"`
}

func (r *Rows) encode(item durable.Item, revision string) (*rowDocument, error) {
	item = durable.Kept(item)
	data, err := r.sealer.Seal(durable.SealPurpose, item.ID.String(), item.Data)
	if err != nil {
		return nil, fmt.Errorf("mongostore: Put: %w", err)
	}
	return &rowDocument{
		ID: item.ID.String(), Kind: item.ID.Kind, Name: item.ID.Name, Tenant: item.Tenant, Due: date(item.Due),
		Owner: item.Lease.Owner, TTL: item.Lease.TTL.Milliseconds(), Attempts: int64(item.Attempts), Stuck: item.Stuck,
		EraseAt: date(item.EraseAt), Version: int64(item.Version), Audit: item.Audit, Data: data, Revision: revision,
	}, nil
}

var errNoRow = errors.New("is not a row")

// read decodes a document. Its error quotes nothing of it but its id, or names it by a
// hash.
func (r *Rows) read(raw bson.Raw) (durable.Item, error) {
	var d rowDocument
	err := bson.Unmarshal(raw, &d)
	id := durable.ID{Kind: d.Kind, Name: d.Name}
	if err != nil || d.ID != id.String() || durable.CheckID(id) != nil {
		return durable.Item{}, fmt.Errorf("document %s %w", hash(raw.Lookup("_id")), errNoRow)
	}
	data, err := r.sealer.Open(durable.SealPurpose, d.ID, d.Data)
	if err != nil {
		return durable.Item{}, fmt.Errorf("%s: %w", id, err)
	}
	return durable.Item{
		ID: id, Tenant: d.Tenant, Due: moment(d.Due), Lease: durable.Lease{Owner: d.Owner, TTL: time.Duration(d.TTL) * time.Millisecond},
		Attempts: int(d.Attempts), Stuck: d.Stuck, EraseAt: moment(d.EraseAt), Version: int(d.Version),
		Audit: d.Audit, Data: data, Revision: d.Revision,
	}, nil
}

func text(raw bson.Raw, name string) string {
	value, _ := raw.Lookup(name).StringValueOK()
	return value
}

func rowID(raw bson.Raw) durable.ID {
	return durable.ID{Kind: text(raw, "kind"), Name: text(raw, "name")}
}
