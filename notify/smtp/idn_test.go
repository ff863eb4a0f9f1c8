package smtp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
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

// An address beyond ASCII that the server cannot take is said to be the one that it is: the
// recipient is struck out only for its own.
func TestWhoseAddressIsBeyondASCII(t *testing.T) {
	t.Parallel()
	const beyond = "müller@example.org"
	for field, c := range map[string]struct {
		edit func(*smtp.Config)
		msg  func(*notify.Message)
		want error
	}{
		"To.Email":           {nil, func(m *notify.Message) { m.To.Email = beyond }, notify.ErrRecipient},
		"From":               {func(cfg *smtp.Config) { cfg.From = beyond }, nil, telemed.ErrForbidden},
		"ReplyTo":            {func(cfg *smtp.Config) { cfg.ReplyTo = beyond }, nil, telemed.ErrForbidden},
		"BounceTo":           {func(cfg *smtp.Config) { cfg.BounceTo = beyond }, nil, telemed.ErrForbidden},
		"Mail.ReplyTo.Email": {nil, func(m *notify.Message) { m.Mail.ReplyTo.Email = beyond }, telemed.ErrInvalid},
		"Mail.BounceTo":      {nil, func(m *notify.Message) { m.Mail.BounceTo = beyond }, telemed.ErrInvalid},
		"Mail.Cc[1].Email":   {nil, func(m *notify.Message) { m.Mail.Cc = []notify.Recipient{{Email: "a@b.example"}, {Email: beyond}} }, telemed.ErrInvalid},
		"Mail.Bcc[0].Email":  {nil, func(m *notify.Message) { m.Mail.Bcc = []notify.Recipient{{Email: beyond}} }, telemed.ErrInvalid},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			for _, able := range []bool{false, true} {
				server := startRaw(t, func(s *rawServer) {
					if !able {
						s.extensions = []string{"PIPELINING", "8BITMIME"}
					}
				})
				client := newClient(t, server.addr(), func(cfg *smtp.Config) {
					plaintext(cfg)
					if c.edit != nil {
						c.edit(cfg)
					}
				})
				msg := message("beyond")
				msg.Mail = &notify.Mail{}
				if c.msg != nil {
					c.msg(&msg)
				}
				_, err := client.Notify(t.Context(), msg)
				if able {
					require.NoError(t, err)
					require.Contains(t, strings.Join(server.seen(), "\n"), " SMTPUTF8")
					continue
				}
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.want == notify.ErrRecipient, errors.Is(err, notify.ErrRecipient))
				require.NotContains(t, err.Error(), "ller")
				require.Empty(t, server.messages())
				if strings.HasPrefix(field, "Mail.") {
					require.Equal(t, field, telemed.Fields(err)[0].Field)
				}
			}
		})
	}
}
