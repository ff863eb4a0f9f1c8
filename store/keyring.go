package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// AEAD is authenticated encryption with associated data. The methods are those of Tink's
// AEAD, so that a Tink keyset or a key management service behind one fits as it is; a
// [Keyring] is one without any dependency. Implementations are safe for concurrent use.
type AEAD interface {
	// Encrypt returns a ciphertext that opens only with the same associatedData.
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	// Decrypt reverses Encrypt.
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// Keyring is an AEAD of AES-256-GCM keys: the first one seals, all of them open.
//
// A key is changed without an interruption in three deploys: (1) append the new key, so
// that every process can open what it seals; (2) put it first, and run [Reseal] when all
// processes have it; (3) drop the old one.
//
// Each record is sealed with a key of its own, derived by HKDF-SHA-256 from the ring's
// key and the associated data, so that random nonces never get near their limit.
type Keyring struct {
	order []*ringKey
	byID  map[uint32]*ringKey
}

type ringKey struct {
	id     uint32
	secret []byte
}

const (
	keyBytes      = 32
	sealedVersion = 1
	// sealedHeader is the version and the key's id, before nonce and ciphertext.
	sealedHeader = 1 + 4
)

// NewKey returns a random key for a Keyring. `openssl rand -base64 32` makes one as well.
func NewKey() telemed.Secret {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails
	return telemed.NewSecret(base64.StdEncoding.EncodeToString(key))
}

// NewKeyring returns a ring of keys, each 32 random bytes in base64, standard or for URLs,
// with or without padding. A passphrase is no key, nor are bytes that are all the same. The
// error matches telemed.ErrInvalid and names every key that is wrong.
func NewKeyring(keys ...telemed.Secret) (*Keyring, error) {
	return newKeyring(nil, keys)
}

// KeyringFromEnv returns a ring of the keys in the variable called name, in the form of
// NewKeyring, between commas: the first one seals, all of them open.
//
//	CLINIC_KEY="$(openssl rand -base64 32)"
//
// Only getenv is asked, which is os.Getenv in most applications; a nil one is an empty
// environment. The error is that of NewKeyring and names the variable as well.
func KeyringFromEnv(getenv func(name string) string, name string) (*Keyring, error) {
	if name == "" {
		return nil, fault.Invalid("store: keyring", "name", "is required")
	}
	env := fault.NewEnv(getenv)
	var keys []telemed.Secret
	for _, key := range env.List("keys", name) {
		keys = append(keys, telemed.NewSecret(key))
	}
	return newKeyring(env, keys)
}

func newKeyring(env *fault.Env, keys []telemed.Secret) (*Keyring, error) {
	ring := &Keyring{byID: map[uint32]*ringKey{}}
	var p fault.Problems
	p.From(env)
	p.Check(len(keys) > 0, "keys", "are required (openssl rand -base64 32)")
	for i, key := range keys {
		field := fmt.Sprintf("keys[%d]", i)
		secret, err := decodeKey(key.Reveal())
		if err != nil || len(secret) != keyBytes {
			p.Add(field, "is not 32 bytes in base64 (openssl rand -base64 32)")
			continue
		}
		p.Varied(field, secret)
		k := &ringKey{id: keyID(secret), secret: secret}
		_, twice := ring.byID[k.id]
		p.Check(!twice, field, "is there twice")
		ring.byID[k.id] = k
		ring.order = append(ring.order, k)
	}
	if err := p.Err("store: keyring"); err != nil {
		return nil, err
	}
	return ring, nil
}

// decodeKey reads both alphabets of base64, with or without padding (RFC 4648 §4, §5).
func decodeKey(text string) ([]byte, error) {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(text)
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(standard, "="))
}

// keyID names a key without telling anything about it.
func keyID(secret []byte) uint32 {
	id, err := hkdf.Key(sha256.New, secret, nil, "telemed store key id", 4)
	if err != nil {
		panic("store: HKDF of 4 bytes: " + err.Error()) // sizes are constant
	}
	return binary.BigEndian.Uint32(id)
}

// cipher returns the cipher of one record.
func (k *ringKey) cipher(associatedData []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k.secret, nil, "telemed store record key"+string(associatedData), keyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Encrypt implements AEAD with the first key.
func (r *Keyring) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	key := r.order[0]
	gcm, err := key.cipher(associatedData)
	if err != nil {
		return nil, fmt.Errorf("store: keyring: %w", err)
	}
	header := make([]byte, sealedHeader, sealedHeader+len(plaintext)+gcm.Overhead())
	header[0] = sealedVersion
	binary.BigEndian.PutUint32(header[1:], key.id)
	return gcm.Seal(header, nil, plaintext, associatedData), nil
}

// Decrypt implements AEAD with the key that sealed. The error matches telemed.ErrDecrypt.
func (r *Keyring) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < sealedHeader || ciphertext[0] != sealedVersion {
		return nil, fmt.Errorf("store: keyring: not sealed by a keyring: %w", telemed.ErrDecrypt)
	}
	key, ok := r.byID[binary.BigEndian.Uint32(ciphertext[1:sealedHeader])]
	if !ok {
		return nil, fmt.Errorf("store: keyring: the key is not in the ring: %w", telemed.ErrDecrypt)
	}
	gcm, err := key.cipher(associatedData)
	if err != nil {
		return nil, fmt.Errorf("store: keyring: %w", err)
	}
	plaintext, err := gcm.Open(nil, nil, ciphertext[sealedHeader:], associatedData)
	if err != nil {
		return nil, fmt.Errorf("store: keyring: changed, or sealed for another place: %w", telemed.ErrDecrypt)
	}
	return plaintext, nil
}

// LogValue tells how many keys there are.
func (r *Keyring) LogValue() slog.Value { return slog.GroupValue(slog.Int("keys", len(r.order))) }

// Format tells the same for every verb.
func (r *Keyring) Format(f fmt.State, _ rune) { redact.Format(f, r) }
