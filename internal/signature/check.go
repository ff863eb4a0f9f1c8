package signature

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/telemed-go/telemed"
)

// Check is a delivery whose signature is to be checked, and what helps to say why it does
// not fit.
type Check struct {
	// Header is the delivery's, Name that of its signature: "X-Hub-Signature-256".
	Header http.Header
	Name   string
	// Prefix stands before the 64 digits, "sha256=" for instance. May be empty.
	Prefix string
	// Body is what arrived, byte for byte.
	Body []byte
	// Signed returns what the provider signs of a body. If nil, the body itself.
	Signed func(body []byte) []byte
	// Secrets may each have signed.
	Secrets []telemed.Secret

	// APISecret is the secret that people configure in place of a webhook's. May be empty.
	APISecret telemed.Secret
	// Event reports whether a body looks like an event of the provider. If nil, every body
	// does.
	Event func(body []byte) bool
}

// Verify returns the secret that signed the body. Its error matches telemed.ErrSignature
// and says what is likely wrong, without a word of the body, the signature or a secret.
// It is for the log: whoever sent the delivery learns nothing but that it was refused.
func (c Check) Verify() (telemed.Secret, error) {
	given, whole := strings.CutPrefix(c.Header.Get(c.Name), c.Prefix)
	if whole {
		for _, secret := range c.Secrets {
			if c.fits(given, c.Body, secret) {
				return secret, nil
			}
		}
	}
	return telemed.Secret{}, fmt.Errorf("%w: %s", telemed.ErrSignature, c.reason(given, whole))
}

func (c Check) fits(given string, body []byte, secret telemed.Secret) bool {
	if c.Signed != nil {
		body = c.Signed(body)
	}
	return Valid(given, body, []byte(secret.Reveal()))
}

// reason says what is likely wrong with a signature that fits none of the secrets.
func (c Check) reason(given string, whole bool) string {
	switch {
	case c.Header.Get(c.Name) == "":
		return "the header " + c.Name + " is missing"
	case !whole || len(given) != 64 || strings.Trim(given, "0123456789abcdefABCDEF") != "":
		return fmt.Sprintf("the header %s is not %q and 64 hexadecimal digits", c.Name, c.Prefix)
	case len(c.Secrets) == 0:
		return "no secret is configured"
	case len(c.Body) == 0:
		return "the body is empty: something read it before"
	case c.fits(given, c.Body, c.APISecret):
		return "it was made with the secret of the API key; the webhook has one of its own"
	case c.reencoded(given):
		return "it fits the same body in another form: something decoded the body and encoded it again"
	}
	if text := c.cut(); text != "" {
		return text
	}
	switch {
	case c.Event != nil && !c.Event(c.Body):
		return "the body is not an event of this provider"
	case len(c.Body) <= maxForms && sortedKeys(c.Body):
		return "the body's keys are in alphabetical order: " +
			"something decoded the body and encoded it again, or the secret is another"
	}
	return "the secret is another, or the body was changed on its way"
}

// maxForms is the longest body that is tried in other forms: whoever sends forgeries
// shall not have much computed.
const maxForms = 64 << 10

// reencoded reports whether the signature fits a form that the body may have had before.
func (c Check) reencoded(given string) bool {
	if len(c.Body) > maxForms {
		return false
	}
	for form := range forms(c.Body) {
		for _, secret := range c.Secrets {
			if c.fits(given, form, secret) {
				return true
			}
		}
	}
	return false
}

// cut says how much of the body is missing, or nothing if none seems to be.
func (c Check) cut() string {
	want, err := strconv.Atoi(c.Header.Get("Content-Length"))
	if err == nil && want > len(c.Body) {
		return fmt.Sprintf("the body was cut: %d of %d bytes are here", len(c.Body), want)
	}
	decoder := json.NewDecoder(bytes.NewReader(c.Body))
	var value json.RawMessage
	if decoder.Decode(&value) == io.ErrUnexpectedEOF {
		return "the body was cut: its JSON has no end"
	}
	return ""
}
