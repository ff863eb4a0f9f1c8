package connect

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/telemed-go/telemed"
)

// flow is what must be the same at the callback as at the start. It travels in a cookie,
// sealed.
type flow struct {
	Provider string `json:"p"`
	Subject  string `json:"s"`
	State    string `json:"f"`
	Verifier string `json:"v"`
	ReturnTo string `json:"r,omitempty"`
	Expires  int64  `json:"e"` // Unix seconds
}

// maxCookie bounds what is opened; browsers keep 4 kB.
const maxCookie = 4096

// sealer encrypts flows with AES-256-GCM.
type sealer struct{ aeads []cipher.AEAD }

func newSealer(keys []telemed.Secret) (sealer, error) {
	var s sealer
	for _, key := range keys {
		derived, err := hkdf.Key(sha256.New, []byte(key.Reveal()), nil, "telemed connect flow v1", 32)
		if err != nil {
			return s, fmt.Errorf("connect: derive key: %w", err)
		}
		block, err := aes.NewCipher(derived)
		if err != nil {
			return s, fmt.Errorf("connect: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return s, fmt.Errorf("connect: %w", err)
		}
		s.aeads = append(s.aeads, aead)
	}
	return s, nil
}

// seal binds the flow to the cookie's name, so that no cookie's value fits another one.
func (s sealer) seal(name string, f flow) (string, error) {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false) // an & in a return path would take six bytes
	if err := encoder.Encode(f); err != nil {
		return "", errors.New("connect: flow cannot be encoded")
	}
	value := base64.RawURLEncoding.EncodeToString(s.aeads[0].Seal(nil, nil, plain.Bytes(), []byte(name)))
	if len(value) > maxCookie-len(name)-100 {
		return "", errors.New("connect: subject and return path are too long for a cookie")
	}
	return value, nil
}

func (s sealer) open(name, value string) (flow, bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(value) > maxCookie {
		return flow{}, false
	}
	for _, aead := range s.aeads {
		if plain, err := aead.Open(nil, nil, sealed, []byte(name)); err == nil {
			var f flow
			return f, json.Unmarshal(plain, &f) == nil
		}
	}
	return flow{}, false
}
