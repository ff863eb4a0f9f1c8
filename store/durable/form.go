package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
)

// Form is how a kind keeps a record of type T in a row: as JSON in Item.Data, with a Trail
// in Item.Audit. The zero T is the record of a row that is to be created. A field that is
// added to T later is kept by those who do not know it; one that is added inside a field
// needs a new Version.
type Form[T any] struct {
	// Name begins the texts of errors: the package's.
	Name string
	// Version is that of T.
	Version int
}

// Open reads a row's record. One of a later version is errors.ErrUnsupported, one that is no
// record telemed.ErrInvalid.
func (f Form[T]) Open(item Item) (*T, error) {
	record := new(T)
	if item.Version > f.Version {
		return nil, fmt.Errorf("%s: %s is of a later version: %w", f.Name, item.ID, errors.ErrUnsupported)
	}
	if len(item.Data) > 0 && json.Unmarshal(item.Data, record) != nil {
		return nil, fmt.Errorf("%s: %s cannot be read: %w", f.Name, item.ID, telemed.ErrInvalid)
	}
	return record, nil
}

// Edit changes a row's record and adds to its trail, for Change and for a Fact. Errors are
// those of Open and of change; then item is as it was.
func (f Form[T]) Edit(item *Item, change func(record *T, trail *Trail) error) error {
	record, err := f.Open(*item)
	if err != nil {
		return err
	}
	trail, err := f.Trail(*item)
	if err != nil {
		return err
	}
	if err := change(record, &trail); err != nil {
		return err
	}
	data, err := merged[T](item.Data, record)
	if err != nil {
		return err
	}
	audit, err := json.Marshal(trail)
	if err != nil {
		return err
	}
	item.Data, item.Audit, item.Version = data, audit, f.Version
	return nil
}

// Trail reads a row's trail.
func (f Form[T]) Trail(item Item) (Trail, error) {
	var trail Trail
	if len(item.Audit) > 0 && json.Unmarshal(item.Audit, &trail) != nil {
		return nil, fmt.Errorf("%s: the trail of %s cannot be read: %w", f.Name, item.ID, telemed.ErrInvalid)
	}
	return trail, nil
}

// merged returns record as JSON with the fields of old that T does not have.
func merged[T any](old []byte, record *T) ([]byte, error) {
	data, err := json.Marshal(record)
	if err != nil || len(old) == 0 {
		return data, err
	}
	all, known := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := errors.Join(json.Unmarshal(old, &all), json.Unmarshal(data, &known)); err != nil {
		return nil, err
	}
	for field := range reflect.TypeFor[T]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		delete(all, name)
	}
	maps.Copy(all, known)
	return json.Marshal(all)
}

// Entry is a line of a Trail.
type Entry struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Trail is what happened to a row: ids, states and times, nothing of a person. It stays
// readable. Its first 200 lines are kept.
type Trail []Entry

const maxEntries = 200

// Add notes what happens now.
func (t *Trail) Add(what string) {
	if len(*t) < maxEntries {
		*t = append(*t, Entry{time.Now().UTC().Truncate(time.Second), what})
	}
}
