package store

import (
	"bytes"
	"container/list"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
)

var _ Claims = (*Memory)(nil)

// maxMemoryClaims is how many keys a Memory holds at most.
const maxMemoryClaims = 100_000

// memoryClaims are the claims of a Memory, whose mutex guards them.
type memoryClaims struct {
	byKey  map[string]*list.Element
	oldest *list.List // of *memoryClaim, in the order of their last change
}

type memoryClaim struct {
	key, token string
	done       bool
	value      []byte
	until      time.Time
}

func newMemoryClaims() memoryClaims {
	return memoryClaims{byKey: map[string]*list.Element{}, oldest: list.New()}
}

// Claim implements Claims for one process. A Memory holds 100,000 keys: when it is full
// it forgets the oldest that is Done. If all are Busy, the error matches
// telemed.ErrUnavailable.
func (m *Memory) Claim(ctx context.Context, key string, lease time.Duration) (Claim, error) {
	if err := CheckClaim(key, lease); err != nil {
		return Claim{}, err
	}
	if err := ctx.Err(); err != nil {
		return Claim{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	held := m.claims.get(key)
	if held != nil && now.Before(held.until) {
		if held.done {
			return Claim{State: ClaimDone, Token: held.token, Value: bytes.Clone(held.value)}, nil
		}
		return Claim{State: ClaimBusy}, nil
	}
	if held == nil && !m.claims.makeRoom(now) {
		return Claim{}, fmt.Errorf("store: Memory is full of claims that are busy: %w", telemed.ErrUnavailable)
	}
	token := rand.Text()
	m.claims.put(&memoryClaim{key: key, token: token, until: now.Add(lease)})
	return Claim{State: ClaimNew, Token: token, Expired: held != nil && !held.done}, nil
}

// Complete implements Claims.
func (m *Memory) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if err := CheckComplete(key, token, value, keep); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.claims.get(key)
	if held == nil || held.token != token {
		return fmt.Errorf("store: the claim is not under this token: %w", telemed.ErrConflict)
	}
	m.claims.put(&memoryClaim{key: key, token: token, done: true, value: bytes.Clone(value), until: time.Now().Add(keep)})
	return nil
}

// Release implements Claims.
func (m *Memory) Release(ctx context.Context, key, token string) error {
	if err := CheckRelease(key, token); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if held := m.claims.get(key); held != nil && held.token == token && !held.done {
		m.claims.drop(m.claims.byKey[key])
	}
	return nil
}

func (c *memoryClaims) get(key string) *memoryClaim {
	if element, ok := c.byKey[key]; ok {
		return element.Value.(*memoryClaim)
	}
	return nil
}

// makeRoom forgets what is over, then the oldest that is Done, until one more fits. A
// Busy key stays for a while after its lease, for the next one to learn of it.
func (c *memoryClaims) makeRoom(now time.Time) bool {
	for element := c.oldest.Front(); element != nil; {
		next, claim := element.Next(), element.Value.(*memoryClaim)
		over, full := claim.done && !now.Before(claim.until), c.oldest.Len() >= maxMemoryClaims
		if !over && !full {
			break
		}
		if over || claim.done || now.Sub(claim.until) > time.Hour {
			c.drop(element)
		}
		element = next
	}
	return c.oldest.Len() < maxMemoryClaims
}

func (c *memoryClaims) put(claim *memoryClaim) {
	if old, ok := c.byKey[claim.key]; ok {
		c.drop(old)
	}
	c.byKey[claim.key] = c.oldest.PushBack(claim)
}

func (c *memoryClaims) drop(element *list.Element) {
	delete(c.byKey, element.Value.(*memoryClaim).key)
	c.oldest.Remove(element)
}
