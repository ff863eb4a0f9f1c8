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
	"net/http"
	"strings"
	"time"

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

// cookieName is the flow's own: two tabs are two flows. The __Host- prefix makes
// browsers refuse it over plain http, for a path, and from a subdomain.
func (c *Connector) cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return c.cookiePrefix() + base64.RawURLEncoding.EncodeToString(sum[:6])
}

func (c *Connector) cookiePrefix() string {
	prefix := "__Host-telemed_"
	if c.insecure {
		prefix = "telemed_"
	}
	return prefix + c.cfg.Provider.Name + "_"
}

func (c *Connector) cookie(name, value string, age time.Duration) *http.Cookie {
	seconds := int(age / time.Second)
	if seconds <= 0 {
		seconds = -1
	}
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: !c.insecure,
		SameSite: http.SameSiteLaxMode, // Strict would not come back from the consent page
	}
}

// maxFlows is how many bytes of cookies the flows of one browser may have: some nine
// flows of the usual size. They go with each request, and servers refuse long headers,
// nginx those of 8 kB.
const maxFlows = 3 << 10

// sweep clears the cookies of flows that were given up, if there would be too many with
// the fresh one.
func (c *Connector) sweep(w http.ResponseWriter, r *http.Request, fresh *http.Cookie) {
	var names []string
	size := cookieSize(fresh)
	for _, cookie := range r.Cookies() {
		if strings.HasPrefix(cookie.Name, c.cookiePrefix()) {
			names = append(names, cookie.Name)
			size += cookieSize(cookie)
		}
	}
	if size <= maxFlows {
		return
	}
	for _, name := range names {
		http.SetCookie(w, c.cookie(name, "", 0))
	}
}

func cookieSize(cookie *http.Cookie) int {
	return len(cookie.Name) + len("=") + len(cookie.Value) + len("; ")
}
