// Package address says which addresses may be trusted with a secret.
package address

import (
	"net/netip"
	"net/url"
)

// Loopback reports whether host, without a port, is this machine. A name that merely
// begins like a loopback address, "127.evil.example", is not.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Encrypted reports whether what is sent to u is hidden from others: by https, or, over
// http, by not leaving this machine.
func Encrypted(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname())
}

// Secure reports whether text is an absolute address, Encrypted, without user and
// fragment.
func Secure(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && u.User == nil && u.Fragment == "" && u.Opaque == "" && Encrypted(u)
}
