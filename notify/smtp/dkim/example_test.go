package dkim_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify/smtp/dkim"
)

func ExampleNew() {
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		panic(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	signer, err := dkim.New("clinic.example", dkim.Key{Selector: "ed2026", PEM: telemed.NewSecret(string(key))})
	if err != nil {
		panic(err)
	}
	fields, err := signer.Sign(strings.NewReader("From: care@clinic.example\r\n\r\nSee you.\r\n"))
	fmt.Println(strings.HasPrefix(fields, "DKIM-Signature: "), err)
	// Output: true <nil>
}
