// Package dkim signs what notify/smtp sends, so that who receives it can tell that it comes
// from the clinic's domain (DKIM, RFC 6376; Ed25519 by RFC 8463).
//
//	signer, err := dkim.New("clinic.example",
//		dkim.Key{Selector: "rsa2026", PEM: telemed.NewSecret(rsaKey)},
//		dkim.Key{Selector: "ed2026", PEM: telemed.NewSecret(ed25519Key)},
//	)
//	…
//	mail, err := smtp.New(smtp.Config{Addr: addr, From: from, Sign: signer.Sign})
//
// The public keys stand in the DNS at rsa2026._domainkey.clinic.example and so on. Most
// relays sign by themselves and need nothing of this.
//
// # Errors
//
// New reports what is wrong with a key as telemed.ErrInvalid.
//
// # Security
//
// The body and the fields that a person sees or acts on are signed, and no second field of
// such a name can be added. Date and Message-ID are not, for some relays replace them. A
// signature does not expire.
//
// # Testing
//
// A signature is checked with the public key alone: no test needs the DNS.
package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
)

// Key is one private key and the name under which its public key stands in the DNS.
type Key struct {
	// Selector is the name's part before "._domainkey". Required.
	Selector string
	// PEM is the private key, RSA of 2048 bits or more or Ed25519, as "PRIVATE KEY" (PKCS #8)
	// or "RSA PRIVATE KEY" (PKCS #1). Required.
	PEM telemed.Secret
}

// Signer signs mail. It is safe for concurrent use, and nothing of a key shows where it is
// printed.
type Signer struct {
	options []*dkim.SignOptions // pointers, into which fmt does not go
}

// signed are the fields of a signature. Each is named once more than it occurs, so that no
// other of its name can be added (RFC 6376, 8.15).
var signed = []string{
	"From", "From", "To", "To", "Cc", "Cc", "Subject", "Subject", "Reply-To", "Reply-To",
	"List-Unsubscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Unsubscribe-Post",
	"MIME-Version", "MIME-Version", "Content-Type", "Content-Type",
	"Content-Transfer-Encoding", "Content-Transfer-Encoding",
}

// New returns a Signer for mail from domain, which makes a signature with each of keys. One
// that receives Ed25519 only from some senders is content with the RSA one beside it. It
// reports everything that is wrong at once, in an error that matches telemed.ErrInvalid.
func New(domain string, keys ...Key) (*Signer, error) {
	var p fault.Problems
	p.Check(validDNS(domain), "Domain", "is not a domain in ASCII such as clinic.example")
	p.Check(len(keys) > 0, "Keys", "are none")
	s := &Signer{}
	for i, key := range keys {
		p.Check(validDNS(key.Selector+".example"), fmt.Sprintf("Keys[%d].Selector", i), "is not a DNS name")
		private, problem := parse(key.PEM.Reveal())
		p.Check(problem == "", fmt.Sprintf("Keys[%d].PEM", i), "%s", problem)
		s.options = append(s.options, &dkim.SignOptions{
			Domain: domain, Selector: key.Selector, Signer: private, HeaderKeys: signed,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
	}
	if err := p.Err("dkim"); err != nil {
		return nil, err
	}
	return s, nil
}

func validDNS(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) && notify.ValidEmail("x@"+name)
}

func parse(text string) (key crypto.Signer, problem string) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, "is not a key in PEM"
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, "is not a private key of PKCS #8 or #1"
	}
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < 2048 {
			return nil, "is an RSA key of less than 2048 bits"
		}
		return key, ""
	case ed25519.PrivateKey:
		return key, ""
	}
	return nil, "is neither an RSA nor an Ed25519 key"
}

// Sign reads a message with all its fields and returns the fields DKIM-Signature that go
// ahead of it, each with its line end. It is for smtp.Config.Sign.
func (s *Signer) Sign(message io.Reader) (fields string, err error) {
	signers := make([]*dkim.Signer, len(s.options))
	all := make([]io.Writer, len(s.options))
	for i := range s.options {
		signer, err := dkim.NewSigner(s.options[i])
		if err != nil {
			return "", errSign
		}
		defer func() { _ = signer.Close() }() // ends its goroutine if the message cannot be read
		signers[i], all[i] = signer, signer
	}
	if _, err := io.Copy(io.MultiWriter(all...), message); err != nil {
		return "", errSign
	}
	for _, signer := range signers {
		if err := signer.Close(); err != nil {
			return "", errSign
		}
		fields += signer.Signature()
	}
	return fields, nil
}

// errSign has no words of the message, which others' errors may.
var errSign = fault.Tagged(telemed.ErrInvalid, errors.New("dkim: the message cannot be signed"))
