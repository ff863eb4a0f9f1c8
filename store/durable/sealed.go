package durable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// Sealed returns a Store that seals Item.Data before st writes it down, and binds it to
// the row. Everything else stays readable, because rows are found by it. A row that is
// not sealed, or does not open, is telemed.ErrDecrypt. Sealing adds some bytes: MaxData
// is that of the sealed data.
//
// sqlstore and mongostore seal by themselves; this is for a Store of your own. If st has
// all that a Store can have, the result has it too.
func Sealed(st Store, aead store.AEAD) Store {
	s := &sealed{st: st, sealer: store.Sealer{AEAD: aead, Strict: true}}
	if full, ok := st.(fullStore); ok {
		return &fullySealed{s, full}
	}
	return s
}

type fullStore interface {
	Store
	Leaser
	LeaseLister
	Eraser
	Lister
}

// SealPurpose binds what a store.Sealer seals to rows. Stores with a seal of their own use
// it, with the row's ID as text.
const SealPurpose = "durable"

type sealed struct {
	st     Store
	sealer store.Sealer
}

// Get implements Store.
func (s *sealed) Get(ctx context.Context, id ID) (Item, error) {
	item, err := s.st.Get(ctx, id)
	if err != nil {
		return Item{}, err
	}
	return s.open(item)
}

func (s *sealed) open(item Item) (Item, error) {
	data, err := s.sealer.Open(SealPurpose, item.ID.String(), item.Data)
	if err != nil {
		return Item{}, fmt.Errorf("durable: %s: %w", item.ID, err)
	}
	item.Data = data
	return item, nil
}

// Put implements Store.
func (s *sealed) Put(ctx context.Context, item Item) (string, error) {
	if err := CheckItem(item); err != nil {
		return "", err
	}
	data, err := s.sealer.Seal(SealPurpose, item.ID.String(), item.Data)
	if err != nil {
		return "", fmt.Errorf("durable: %s: %w", item.ID, err)
	}
	item.Data = data
	return s.st.Put(ctx, item)
}

// Due implements Store.
func (s *sealed) Due(ctx context.Context, q Query) ([]ID, error) { return s.st.Due(ctx, q) }

type fullySealed struct {
	*sealed
	full fullStore
}

// Lease implements Leaser.
func (s *fullySealed) Lease(ctx context.Context, q Query, after string, lease Lease) (items []Item, next string, err error) {
	leased, next, err := s.full.Lease(ctx, q, after, lease)
	for _, item := range leased {
		item, openErr := s.open(item)
		if openErr != nil {
			err = errors.Join(err, openErr)
			continue
		}
		items = append(items, item)
	}
	return items, next, err
}

// Leases implements LeaseLister.
func (s *fullySealed) Leases(ctx context.Context, kinds map[string]int) ([]Held, error) {
	return s.full.Leases(ctx, kinds)
}

// Erase implements Eraser.
func (s *fullySealed) Erase(ctx context.Context, by time.Time, limit int) (int, error) {
	return s.full.Erase(ctx, by, limit)
}

// List implements Lister. Rows that do not open are left out, and counted in an error at
// the end.
func (s *fullySealed) List(ctx context.Context, filter Filter) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		unopened := 0
		for item, err := range s.full.List(ctx, filter) {
			if err != nil {
				yield(Item{}, err)
				return
			}
			if item, err = s.open(item); err != nil {
				unopened++
				continue
			}
			if !yield(item, nil) {
				return
			}
		}
		if unopened > 0 {
			yield(Item{}, fmt.Errorf("durable: %d rows left out of the list: %w", unopened, telemed.ErrDecrypt))
		}
	}
}
