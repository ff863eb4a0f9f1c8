package fake_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
)

// TestCertificatesStandInOneFile: OpenSSL takes the first issuer of a name and no other,
// so that of two certificates of one name the second would be trusted by nobody.
func TestCertificatesStandInOneFile(t *testing.T) {
	t.Parallel()
	names, serials := map[string]bool{}, map[string]bool{}
	for range 3 {
		made, err := fake.NewCertificate("127.0.0.1")
		require.NoError(t, err)
		block, rest := pem.Decode(made.PEM())
		require.Empty(t, rest)
		read, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		names[read.Subject.String()], serials[read.SerialNumber.String()] = true, true
		require.Equal(t, read.Subject, read.Issuer)
		require.NoError(t, read.VerifyHostname("localhost"))
	}
	require.Len(t, names, 3)
	require.Len(t, serials, 3)
}
