package mongostore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/telemed-go/telemed/store"
)

// document is a record as it is written down.
type document struct {
	ID        string        `bson:"_id"`
	Provider  string        `bson:"provider"`
	Subject   string        `bson:"subject"`
	Token     []byte        `bson:"token"`
	Status    string        `bson:"status"`
	Reason    string        `bson:"reason,omitempty"`
	Lease     *lease        `bson:"lease,omitempty"`
	ExpiresAt bson.DateTime `bson:"expiresAt,omitempty"`
	UpdatedAt bson.DateTime `bson:"updatedAt,omitempty"`
	Revision  string        `bson:"rev"`
}

type lease struct {
	Owner   string        `bson:"owner,omitempty"`
	Until   bson.DateTime `bson:"until,omitempty"`
	TTL     int64         `bson:"ttl,omitempty"` // milliseconds
	Tainted bool          `bson:"tainted,omitempty"`
}

// id is injective: a provider has no colon.
func id(key store.AccountID) string { return key.Provider + ":" + key.Subject }

func encode(rec store.Record, revision string) (*document, error) {
	token, err := store.EncodeToken(rec.Token)
	if err != nil {
		return nil, fmt.Errorf("mongostore: Put: %w", err)
	}
	doc := &document{
		ID: id(rec.ID), Provider: rec.ID.Provider, Subject: rec.ID.Subject, Token: token,
		Status: string(rec.Status), Reason: rec.Reason,
		ExpiresAt: date(rec.Token.Expiry), UpdatedAt: date(rec.UpdatedAt), Revision: revision,
	}
	if rec.Lease != (store.Lease{}) {
		doc.Lease = &lease{rec.Lease.Owner, date(rec.Lease.Until), rec.Lease.TTL.Milliseconds(), rec.Lease.Tainted}
	}
	return doc, nil
}

// read decodes a document. Its error names the document by a hash and quotes nothing of
// it.
func read(raw bson.Raw) (store.Record, error) {
	var d document
	err := bson.Unmarshal(raw, &d)
	key := store.AccountID{Provider: d.Provider, Subject: d.Subject}
	if err != nil || d.ID != id(key) {
		return store.Record{}, fmt.Errorf("document %s is not a record", hash(raw.Lookup("_id")))
	}
	token, err := store.DecodeToken(d.Token)
	if err != nil {
		return store.Record{}, fmt.Errorf("%s: %w", key, err)
	}
	rec := store.Record{
		ID: key, Token: token, Status: store.Status(d.Status), Reason: d.Reason,
		UpdatedAt: moment(d.UpdatedAt), Revision: d.Revision,
	}
	if d.Lease != nil {
		rec.Lease = store.Lease{
			Owner: d.Lease.Owner, Until: moment(d.Lease.Until), TTL: time.Duration(d.Lease.TTL) * time.Millisecond,
			Tainted: d.Lease.Tainted,
		}
	}
	return rec, nil
}

// hash names a document whose _id must not be printed.
func hash(id bson.RawValue) string {
	sum := sha256.Sum256(append([]byte{byte(id.Type)}, id.Value...))
	return "#" + hex.EncodeToString(sum[:4])
}

// date is 0, which is left out of the document, for the zero time.
func date(t time.Time) bson.DateTime {
	if t.IsZero() {
		return 0
	}
	return bson.NewDateTimeFromTime(t)
}

func moment(d bson.DateTime) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return d.Time().UTC()
}
