package smtptest_test

import (
	"context"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// TestStoryInABubble: a mail is greylisted, an hour later it is taken, over a new
// connection, since the first one was idle for too long. Then the server falls silent. It
// takes no time.
func TestStoryInABubble(t *testing.T) {
	t.Parallel()
	for name, security := range map[string]smtp.Security{"StartTLS": smtp.StartTLS, "ImplicitTLS": smtp.ImplicitTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := smtptest.NewServer(t, smtptest.Config{
					Addr: "mail.clinic.example:587", InMemory: true, Greylist: true, ImplicitTLS: security == smtp.ImplicitTLS,
				})
				client, err := smtp.New(smtp.Config{
					Addr: server.Addr(), From: "care@clinic.example", Security: security, TLS: server.ClientTLS(),
					Dial: server.Dial, LocalName: "clinic.example",
				})
				require.NoError(t, err)
				defer func() { require.NoError(t, client.Shutdown(context.Background())) }()
				begin := time.Now()
				_, err = client.Notify(t.Context(), message())
				require.ErrorIs(t, err, telemed.ErrRateLimited)
				time.Sleep(time.Hour)
				_, err = client.Notify(t.Context(), message())
				require.NoError(t, err)
				require.Equal(t, time.Hour, time.Since(begin))
				require.Equal(t, 2, server.Connections())

				server.FailNext(smtptest.Fault{Op: smtptest.OpData, Hang: true}, smtptest.Fault{Op: smtptest.OpMail, Delay: 5 * time.Second})
				_, err = client.Notify(t.Context(), message())
				require.ErrorIs(t, err, telemed.ErrAmbiguous)
				require.GreaterOrEqual(t, time.Since(begin), time.Hour+2*time.Minute, "the client's own patience")
				require.Len(t, server.Messages(), 1)
			})
		})
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	_, err := smtptest.Start(smtptest.Config{Addr: "nonsense"})
	require.ErrorContains(t, err, "smtptest: listen: ")
	server := smtptest.NewServer(t)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(server.Certificate()))
	require.True(t, roots.Equal(server.ClientTLS().RootCAs))
}
