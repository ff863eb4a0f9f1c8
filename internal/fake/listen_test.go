package fake_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
)

// connected returns both ends of a connection.
func connected(t *testing.T, l *fake.Listener) (client, server net.Conn) {
	t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, err := l.Accept()
		if err == nil {
			accepted <- nc
		}
		close(accepted)
	}()
	client, err := l.Dial(t.Context(), "tcp", "ignored.example:1")
	require.NoError(t, err)
	server, ok := <-accepted
	require.True(t, ok)
	return client, server
}

func TestConnections(t *testing.T) {
	t.Parallel()
	for name, inMemory := range map[string]bool{"TCP": false, "memory": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := fake.Listen("", inMemory)
			require.NoError(t, err)
			client, server := connected(t, l)
			require.Equal(t, 1, l.Total())

			_, err = client.Write([]byte("ping"))
			require.NoError(t, err)
			buf := make([]byte, 4)
			_, err = io.ReadFull(server, buf)
			require.NoError(t, err)
			require.Equal(t, "ping", string(buf))

			require.NoError(t, client.SetDeadline(time.Now().Add(-time.Second)))
			_, err = client.Read(buf)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			_, err = client.Write(buf)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, client.SetDeadline(time.Time{}))

			_, err = server.Write([]byte("pong"))
			require.NoError(t, err)
			require.NoError(t, l.Close())
			require.NoError(t, l.Close(), "again")
			rest, err := io.ReadAll(client)
			require.NoError(t, err)
			require.Equal(t, "pong", string(rest), "what was written before is not lost")
			_, err = server.Read(buf)
			require.ErrorIs(t, err, net.ErrClosed, "the listener ends its connections")
			require.NoError(t, client.Close())
			_, err = client.Write(buf)
			require.ErrorIs(t, err, net.ErrClosed)

			_, err = l.Accept()
			require.ErrorIs(t, err, net.ErrClosed)
			_, err = l.Dial(t.Context(), "tcp", "")
			require.Error(t, err)
		})
	}
}

// In memory the writer is ahead of its reader by so much, and then waits for it.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, err := fake.Listen("zoom.example:443", true)
		require.NoError(t, err)
		defer l.Close()
		require.Equal(t, []string{"zoom.example:443", "zoom.example:443"}, []string{l.Address(), l.Addr().String()})
		client, server := connected(t, l)
		require.NoError(t, client.SetWriteDeadline(time.Now().Add(time.Hour)))
		begin := time.Now()
		written, err := client.Write(make([]byte, 100_000))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Hour, time.Since(begin))
		require.Equal(t, 64<<10, written)

		require.NoError(t, client.SetWriteDeadline(time.Time{}))
		go func() { _, _ = io.CopyN(io.Discard, server, 100_000) }()
		_, err = client.Write(make([]byte, 100_000))
		require.NoError(t, err, "a reader makes room")
	})
}

func TestMemoryIsClosedByItsReader(t *testing.T) {
	t.Parallel()
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	defer l.Close()
	client, server := connected(t, l)
	require.NoError(t, server.Close())
	_, err = client.Write([]byte("x"))
	require.ErrorIs(t, err, syscall.EPIPE)
	_, err = client.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
}

func TestDialEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.Dial(ctx, "tcp", "") // nobody accepts
	require.ErrorIs(t, err, context.Canceled)
}

func TestListenAddresses(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"no port", "127.0.0.1", "256.0.0.1:0"} {
		_, err := fake.Listen(addr, false)
		require.Error(t, err, addr)
	}
	_, err := fake.Listen("no port", true)
	require.Error(t, err)

	l, err := fake.Listen("0.0.0.0:0", false)
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, "127.0.0.1", l.Host(), "0.0.0.0 is no address to go to")
	client, _ := connected(t, l)
	require.NoError(t, client.Close())
}

func pool(t *testing.T, pem []byte) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	return roots
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"mail.clinic.example", "192.0.2.7", "::1", "localhost", ""} {
		cert, err := fake.NewCertificate(host)
		require.NoError(t, err)
		l, err := fake.Listen("", true)
		require.NoError(t, err)
		client, server := connected(t, l)
		go func() { _ = tls.Server(server, cert.Server()).Handshake() }()
		trusting := cert.Client()
		trusting.ServerName = host
		if host == "" {
			trusting.ServerName = "127.0.0.1"
		}
		require.NoError(t, tls.Client(client, trusting).Handshake(), host)
		require.NoError(t, l.Close())

		other, err := fake.NewCertificate(host)
		require.NoError(t, err)
		leaf := other.Server().Certificates[0].Leaf
		_, err = leaf.Verify(x509.VerifyOptions{Roots: pool(t, cert.PEM())})
		_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
		require.True(t, unknown, "no fake's certificate is good for another one")
	}
}
