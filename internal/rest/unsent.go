package rest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
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
