package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// Sealer is for stores. It seals what they keep beside tokens, such as the values of
// claims, as [Sealed] does it with tokens. The zero value writes in clear. A Sealer is
// safe for concurrent use if its AEAD is.
type Sealer struct {
	// AEAD seals. If nil, nothing is sealed, and what is sealed already does not open.
	AEAD AEAD
	// Strict refuses to open what is in clear, which anybody could have planted who can
	// write to the database. Otherwise it is passed through.
	Strict bool
}

// The first byte of what is written down.
const (
	inClear  = 0
	isSealed = 1
)

// Seal returns what to write down for value. It opens only for the same purpose, such as
// "claim", and the same id. In clear it is one byte longer than value. An empty value
// stays empty: it tells nothing.
func (s Sealer) Seal(purpose, id string, value []byte) ([]byte, error) {
	switch {
	case len(value) == 0:
		return []byte{}, nil
	case s.AEAD == nil:
		return append([]byte{inClear}, value...), nil
	}
	ciphertext, err := s.AEAD.Encrypt(value, associatedData(purpose, id))
	if err != nil {
		return nil, fmt.Errorf("store: a %s cannot be sealed: %w", purpose, err)
	}
	return append([]byte{isSealed}, ciphertext...), nil
}

// Open reverses Seal. The error matches telemed.ErrDecrypt.
func (s Sealer) Open(purpose, id string, stored []byte) ([]byte, error) {
	value, err := s.open(purpose, id, stored)
	if err != nil {
		return nil, fmt.Errorf("store: a %s cannot be opened: %w", purpose, fault.Tagged(telemed.ErrDecrypt, err))
	}
	return value, nil
}

func (s Sealer) open(purpose, id string, stored []byte) ([]byte, error) {
	switch {
	case len(stored) == 0:
		return nil, nil
	case stored[0] > isSealed:
		return nil, errors.New("it is damaged")
	case stored[0] == inClear && s.Strict:
		return nil, errors.New("it is not sealed")
	case stored[0] == inClear:
		return bytes.Clone(stored[1:]), nil
	case s.AEAD == nil:
		return nil, errors.New("it is sealed, and this store has no key")
	}
	return s.AEAD.Decrypt(stored[1:], associatedData(purpose, id))
}
