package durable

import (
	"context"
	"errors"
	"fmt"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
)

// changeTries bounds how often a row is read again because others were faster.
const changeTries = 20

// Change reads a row, has change alter it, and writes it, again and again until nobody
// else writes in between; it is how an application says what it wants by now. change sees
// telemed.ErrNotFound as a row without Revision, and sets Due to have a Runner look. An
// error of change ends it and nothing is written, and so does ctx, by the clock too. The
// result is the row as it was written.
func Change(ctx context.Context, st Store, id ID, change func(item *Item) error) (Item, error) {
	var err error
	for n := range changeTries {
		var item Item
		item, err = st.Get(ctx, id)
		if errors.Is(err, telemed.ErrNotFound) {
			item, err = Item{ID: id}, nil
		}
		if err != nil {
			return Item{}, err
		}
		if err := change(&item); err != nil {
			return Item{}, err
		}
		if ended := wait.Ended(ctx); ended != nil { // the process stood still, and others have gone on
			return Item{}, fmt.Errorf("durable: %s: %w", id, ended)
		}
		revision, putErr := st.Put(ctx, item)
		if putErr == nil {
			item.Revision = revision
			return Kept(item), nil
		}
		if err = putErr; !errors.Is(err, telemed.ErrConflict) {
			return Item{}, err
		}
		if ended := wait.For(ctx, wait.Jitter(poll(n))); ended != nil {
			return Item{}, fmt.Errorf("durable: %s: %w", id, ended)
		}
	}
	return Item{}, fmt.Errorf("durable: %s: others were faster, again and again: %w", id, err)
}
