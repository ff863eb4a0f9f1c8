package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// certificates are files with that of the mail server.
type certificates struct {
	mail   string // it alone
	node   string // it, and what Node.js trusts beside its own
	folder string // removed at the end
}

// writeCertificates writes a certificate to file, or to a new one if that is empty. NodeOwn
// is the file that NODE_EXTRA_CA_CERTS names, if any: what is in there stays trusted.
func writeCertificates(file, nodeOwn string, certificate []byte) (c certificates, err error) {
	if c.folder, err = os.MkdirTemp("", "telemed-sandbox-"); err != nil {
		return c, fmt.Errorf("certificate: %w", err)
	}
	if file == "" {
		file = filepath.Join(c.folder, "certificate.pem")
	}
	if c.mail, err = filepath.Abs(file); err != nil {
		return c, fmt.Errorf("certificate: %w", err)
	}
	if err := os.WriteFile(c.mail, certificate, 0o600); err != nil {
		return c, fmt.Errorf("certificate: %w", err)
	}
	c.node = c.mail
	own, err := os.ReadFile(nodeOwn)
	if err != nil {
		return c, nil // Node.js goes on without it too
	}
	c.node = filepath.Join(c.folder, "node.pem")
	if err := os.WriteFile(c.node, slices.Concat(certificate, own), 0o600); err != nil {
		return c, fmt.Errorf("certificate: %w", err)
	}
	return c, nil
}

// remove removes them, but not what the caller has named.
func (c certificates) remove() {
	if c.folder != "" {
		_ = os.RemoveAll(c.folder) // the system clears what is left of it
	}
}
