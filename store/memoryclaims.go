package store

import (
	"container/list"
	"time"
)

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
