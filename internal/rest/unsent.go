package rest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/telemed-go/telemed/internal/fault"
)

// neverSent recognises errors from before the request was written, for a base
// transport that does not report to httptrace.
func neverSent(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect" ||
			op.Op == "remote error" && strings.Contains(err.Error(), "tls")
	}
	return isTLSError(err)
}

// isTLSError recognises a failed handshake: the request waits for it, so it was not sent.
func isTLSError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// inOurWords returns what is known of a transport's error. Its own text may quote the
// other side: "malformed HTTP response …", a name in a certificate.
func inOurWords(err error) error {
	if cause := fault.Cause(err); cause != nil {
		return cause
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errNoHost
	}
	if isTLSError(err) {
		return errTLS
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return errNotReached
	}
	return errBroken
}

var (
	errNoHost     = errors.New("host was not found")
	errTLS        = errors.New("TLS handshake failed")
	errNotReached = errors.New("host was not reached")
	errBroken     = errors.New("the connection broke, or spoke no HTTP")
)
