package durable

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// NewClaims returns Claims that are rows, so that a database for which there is a Store
// needs nothing more. sqlstore and mongostore have Claims of their own, which ask less of
// the database; use those.
//
// The rows are of a kind of their own, "telemed_claim", which no Runner works. Each has an
// EraseAt, a day after its end, so that a Runner over a Store that is an Eraser deletes it.
// rows is no transaction: a claim holds for all processes at once.
//
// Leases and keeping times end by the clocks of the processes, for a Store does not tell
// the database's. Keep the clocks in step, and make leases long beside what may remain: a
// process whose clock is ahead takes a key over by that much too early, and is told Expired.
func NewClaims(rows Store) store.Claims { return &claims{rows} }

type claims struct{ rows Store }

const (
	claimKind    = "telemed_claim"
	claimVersion = 1
	// lingers is how long the row of a claim stays that is over, for the next one to learn
	// that somebody held the key.
	lingers = 24 * time.Hour
)

// claimRecord is the Data of a claim's row.
type claimRecord struct {
	Key   string    `json:"key"`
	Token string    `json:"token,omitempty"` // empty: it was released
	Done  bool      `json:"done,omitempty"`
	Value []byte    `json:"value,omitempty"`
	Until time.Time `json:"until"`
}

// over reports whether nobody has the key any more.
func (r claimRecord) over() bool { return r.Token == "" || !time.Now().Before(r.Until) }

// claimID is the row of a key. Keys may be longer than names.
func claimID(key string) ID {
	if len(key) < MaxName {
		return ID{Kind: claimKind, Name: "=" + key}
	}
	sum := sha256.Sum256([]byte(key))
	return ID{Kind: claimKind, Name: "#" + hex.EncodeToString(sum[:])}
}

// Claim implements store.Claims.
func (c *claims) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	if err := store.CheckClaim(key, lease); err != nil {
		return store.Claim{}, err
	}
	token := rand.Text()
	var answer store.Claim
	err := c.change(ctx, "Claim", key, func(r *claimRecord) (write bool, err error) {
		switch {
		case r.Token == token: // it was written, and the answer lost
			return false, nil
		case r.over():
			answer = store.Claim{State: store.ClaimNew, Token: token, Expired: r.Token != "" && !r.Done}
			*r = claimRecord{Token: token, Until: time.Now().Add(lease)}
			return true, nil
		case r.Done:
			answer = store.Claim{State: store.ClaimDone, Token: r.Token, Value: r.Value}
		default:
			answer = store.Claim{State: store.ClaimBusy}
		}
		return false, nil
	})
	if err != nil {
		return store.Claim{}, err
	}
	return answer, nil
}

// Complete implements store.Claims.
func (c *claims) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if err := store.CheckComplete(key, token, value, keep); err != nil {
		return err
	}
	return c.change(ctx, "Complete", key, func(r *claimRecord) (write bool, err error) {
		if r.Token != token {
			return false, fmt.Errorf("durable: Complete: the claim is not under this token: %w", telemed.ErrConflict)
		}
		*r = claimRecord{Token: token, Done: true, Value: value, Until: time.Now().Add(keep)}
		return true, nil
	})
}

// Release implements store.Claims. Its row stays until it is erased, and says nothing.
func (c *claims) Release(ctx context.Context, key, token string) error {
	if err := store.CheckRelease(key, token); err != nil {
		return err
	}
	return c.change(ctx, "Release", key, func(r *claimRecord) (write bool, err error) {
		if r.Token != token || r.Done {
			return false, nil
		}
		*r = claimRecord{Until: time.Now()}
		return true, nil
	})
}

// change reads a key's row, and writes it if decide says so, until nobody else writes in
// between. A key without a row is one that was released. A write whose answer was lost is
// looked at once: decide then sees what is there.
func (c *claims) change(ctx context.Context, op, key string, decide func(r *claimRecord) (write bool, err error)) error {
	var lost error
	for n := range changeTries {
		item, record, err := c.read(ctx, op, key)
		if err != nil {
			return cmp.Or(lost, err) // what was lost may have happened
		}
		write, err := decide(&record)
		if err != nil || !write {
			return err
		}
		err = c.write(ctx, item, key, record)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, telemed.ErrConflict):
			lost = nil
		case lost != nil || errors.Is(err, telemed.ErrUnavailable) || ctx.Err() != nil:
			return fmt.Errorf("durable: %s: %w", op, err)
		default:
			lost = fmt.Errorf("durable: %s: %w", op, err)
		}
		if ended := wait.For(ctx, wait.Jitter(poll(n))); ended != nil {
			return fmt.Errorf("durable: %s: %w", op, ended)
		}
	}
	return fmt.Errorf("durable: %s: others were faster, again and again: %w", op, telemed.ErrUnavailable)
}

func (c *claims) read(ctx context.Context, op, key string) (Item, claimRecord, error) {
	id := claimID(key)
	item, err := c.rows.Get(ctx, id)
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		return Item{ID: id}, claimRecord{}, nil
	case err != nil:
		return Item{}, claimRecord{}, fmt.Errorf("durable: %s: %w", op, err)
	case item.Version > claimVersion:
		return Item{}, claimRecord{}, fmt.Errorf("durable: %s: the claim is of a later version: %w", op, errors.ErrUnsupported)
	}
	var record claimRecord
	if json.Unmarshal(item.Data, &record) != nil || record.Key != key {
		return Item{}, claimRecord{}, fmt.Errorf("durable: %s: the claim's row cannot be read: %w", op, telemed.ErrDecrypt)
	}
	return item, record, nil
}

func (c *claims) write(ctx context.Context, item Item, key string, record claimRecord) error {
	record.Key, record.Until = key, record.Until.UTC()
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	item.Data, item.Version, item.EraseAt = data, claimVersion, record.Until
	if record.Token != "" {
		item.EraseAt = record.Until.Add(lingers)
	}
	_, err = c.rows.Put(ctx, item)
	return err
}
