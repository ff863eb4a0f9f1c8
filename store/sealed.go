package store

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// Sealed returns a store that encrypts tokens before st writes them down. Provider and
// subject are bound to the ciphertext: one that is copied to another doctor's record does
// not open. Whose it is, expiry, status and lease stay readable, because stores list and
// lease by them.
//
// A record whose token is not sealed is passed through, so that encryption can be
// switched on over an existing table; each refresh seals one, [Reseal] the rest. In a
// process that still runs without Sealed, a Source and [Set] answer telemed.ErrDecrypt
// for what is sealed. Then switch to [SealedStrict]: whoever can write to the database
// could plant a token in clear otherwise. A record that does not open, for want of the
// key or because it was changed, is telemed.ErrDecrypt, never a reason to reconnect. That
// an older ciphertext was put back cannot be seen.
//
// The result implements Lister if st does. A list ends with one telemed.ErrDecrypt if it
// had to leave records out. Sealing makes a token a third longer.
func Sealed(st TokenStore, aead AEAD) TokenStore { return newSealed(st, aead, false) }

// SealedStrict is Sealed without the passage for tokens in clear: they are
// telemed.ErrDecrypt.
func SealedStrict(st TokenStore, aead AEAD) TokenStore { return newSealed(st, aead, true) }

func newSealed(st TokenStore, aead AEAD, strict bool) TokenStore {
	s := &sealed{st: st, aead: aead, strict: strict}
	if lister, ok := st.(Lister); ok {
		return &sealedLister{s, lister}
	}
	return s
}

type sealed struct {
	st     TokenStore
	aead   AEAD
	strict bool
}

type sealedLister struct {
	*sealed
	lister Lister
}

// Get implements TokenStore.
func (s *sealed) Get(ctx context.Context, id AccountID) (Record, error) {
	rec, err := s.st.Get(ctx, id)
	if err != nil {
		return Record{}, err
	}
	return s.open(rec)
}

// Put implements TokenStore.
func (s *sealed) Put(ctx context.Context, rec Record) (string, error) {
	if err := CheckRecord(rec); err != nil {
		return "", err
	}
	plaintext, err := EncodeToken(rec.Token)
	if err != nil {
		return "", err
	}
	ciphertext, err := s.aead.Encrypt(plaintext, rec.ID.AssociatedData(sealedType))
	if err != nil {
		return "", fmt.Errorf("store: %s cannot be sealed: %w", rec.ID, err)
	}
	rec.Token = Token{Type: sealedType, Access: telemed.NewSecret(base64.StdEncoding.EncodeToString(ciphertext)), Expiry: rec.Token.Expiry}
	return s.st.Put(ctx, rec)
}

// Delete implements TokenStore.
func (s *sealed) Delete(ctx context.Context, id AccountID) error { return s.st.Delete(ctx, id) }

// List implements Lister.
func (s *sealedLister) List(ctx context.Context, filter Filter) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		unopened := 0
		for rec, err := range s.lister.List(ctx, filter) {
			if err != nil {
				yield(Record{}, err)
				return
			}
			rec, err = s.open(rec)
			if err != nil {
				unopened++
				continue
			}
			if !yield(rec, nil) {
				return
			}
		}
		if unopened > 0 {
			yield(Record{}, fmt.Errorf("store: %d records left out of the list: %w", unopened, telemed.ErrDecrypt))
		}
	}
}

// open returns rec with its token in clear.
func (s *sealed) open(rec Record) (Record, error) {
	if rec.Token.Type != sealedType {
		if s.strict {
			return Record{}, fmt.Errorf("store: %s is not sealed: %w", rec.ID, telemed.ErrDecrypt)
		}
		return rec, nil
	}
	token, err := s.openToken(rec)
	if err != nil {
		return Record{}, fmt.Errorf("store: %s: %w", rec.ID, fault.Tagged(telemed.ErrDecrypt, err))
	}
	rec.Token = token
	return rec, nil
}

func (s *sealed) openToken(rec Record) (Token, error) {
	ciphertext, err := base64.StdEncoding.DecodeString(rec.Token.Access.Reveal())
	if err != nil {
		return Token{}, errors.New("sealed token is damaged")
	}
	plaintext, err := s.aead.Decrypt(ciphertext, rec.ID.AssociatedData(sealedType))
	if err != nil {
		return Token{}, err
	}
	return DecodeToken(plaintext)
}

// GetOpen is st.Get for a token that is to be used. A store that is not wrapped by
// [Sealed] returns sealed tokens as they are, without a refresh token, and that must not
// look like a revoked account: such a record is telemed.ErrDecrypt.
func GetOpen(ctx context.Context, st TokenStore, id AccountID) (Record, error) {
	rec, err := st.Get(ctx, id)
	if err == nil && rec.Token.Type == sealedType {
		return Record{}, fmt.Errorf("store: %s is sealed, and this store does not open it: %w", id, telemed.ErrDecrypt)
	}
	return rec, err
}

// ClaimsResealer is what stores implement that keep claims under a Seal. It is asked for
// by type assertion.
type ClaimsResealer interface {
	// ResealClaims seals the value of every claim anew that is Done, still kept and not
	// empty. It returns how many were written, and telemed.ErrDecrypt, after all others
	// are done, if some do not open.
	ResealClaims(ctx context.Context) (int, error)
}

// Reseal writes every record of st anew, so that the first key of the ring seals it; st
// is what Sealed returned, or a store with a Seal of its own. The values of claims are
// sealed anew too if st is a ClaimsResealer. A record that is changed meanwhile is tried
// again: it may have been sealed by a process that has not got the new key first yet.
// Reseal returns how many were written, and telemed.ErrDecrypt, after all others are
// done, if some do not open. Run it once after a key was put first, while everything
// runs.
func Reseal(ctx context.Context, st TokenStore) (int, error) {
	lister, ok := st.(Lister)
	if !ok {
		return 0, fmt.Errorf("store: Reseal: the store cannot list: %w", errors.ErrUnsupported)
	}
	records, err := resealRecords(ctx, st, lister)
	claims := 0
	if resealer, ok := st.(ClaimsResealer); ok && (err == nil || errors.Is(err, telemed.ErrDecrypt)) {
		var claimsErr error
		claims, claimsErr = resealer.ResealClaims(ctx)
		err = cmp.Or(err, claimsErr)
	}
	if err != nil {
		return records + claims, fmt.Errorf("store: Reseal: %w", err)
	}
	return records + claims, nil
}

func resealRecords(ctx context.Context, st TokenStore, lister Lister) (int, error) {
	resealed, unopened := 0, 0
	for rec, err := range lister.List(ctx, Filter{}) {
		if err != nil {
			return resealed, err
		}
		written, err := resealOne(ctx, st, rec)
		switch {
		case errors.Is(err, telemed.ErrDecrypt):
			unopened++
		case err != nil:
			return resealed, err
		case written:
			resealed++
		}
	}
	if unopened > 0 {
		return resealed, fmt.Errorf("%d records left as they are: %w", unopened, telemed.ErrDecrypt)
	}
	return resealed, nil
}

func resealOne(ctx context.Context, st TokenStore, rec Record) (written bool, err error) {
	for {
		_, err = st.Put(ctx, rec)
		if !errors.Is(err, telemed.ErrConflict) {
			return err == nil, err
		}
		rec, err = st.Get(ctx, rec.ID)
		if errors.Is(err, telemed.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
