package smtp_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// A domain in another script has an ASCII form that every server takes. Only a local part
// beyond ASCII needs SMTPUTF8.
func TestG27DomainsInOtherScripts(t *testing.T) {
	t.Parallel()
	const hospital = "xn--l1b6dra7a1a2byg.example" // अस्पताल.example
	fake, client := pair(t, smtptest.Config{NoSMTPUTF8: true}, func(cfg *smtp.Config) {
		cfg.From, cfg.ReplyTo = "Clinic <care@अस्पताल.example>", "desk@अस्पताल.example"
	})
	msg := message("idn")
	msg.To.Email = "asha@bücher.example"
	receipt, err := client.Notify(t.Context(), msg)
	require.NoError(t, err)
	got := fake.Messages()[0]
	require.Equal(t, "care@"+hospital, got.Sender)
	require.Equal(t, []string{"asha@xn--bcher-kva.example"}, got.Recipients)
	require.Equal(t, got.Recipients[0], got.To[0].Address)
	require.Equal(t, got.Sender, got.From.Address)
	require.Equal(t, "desk@"+hospital, got.Header.Get("Reply-To"))
	require.True(t, strings.HasSuffix(receipt.ID, "@"+hospital+">"), receipt.ID)

	msg.To.Email = "आशा@bücher.example"
	_, err = client.Notify(t.Context(), msg)
	require.ErrorIs(t, err, notify.ErrRecipient)
}
