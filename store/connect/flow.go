package connect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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

// seal binds the flow to the cookie's name, so that no cookie's value fits another one, and
// nothing else that the same keys have sealed.
func (c *Connector) seal(name string, f flow) (string, error) {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false) // an & in a return path would take six bytes
	if err := encoder.Encode(f); err != nil {
		return "", errors.New("connect: flow cannot be encoded")
	}
	sealed, err := c.cfg.Seal.Encrypt(plain.Bytes(), flowData(name))
	if err != nil {
		return "", fmt.Errorf("connect: flow cannot be sealed: %w", err)
	}
	value := base64.RawURLEncoding.EncodeToString(sealed)
	if len(value) > maxCookie-len(name)-100 {
		return "", errors.New("connect: subject and return path are too long for a cookie")
	}
	return value, nil
}

func (c *Connector) open(name, value string) (flow, bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(value) > maxCookie {
		return flow{}, false
	}
	plain, err := c.cfg.Seal.Decrypt(sealed, flowData(name))
	if err != nil {
		return flow{}, false
	}
	var f flow
	return f, json.Unmarshal(plain, &f) == nil
}

func flowData(name string) []byte { return []byte("telemed connect flow v1\x00" + name) }
