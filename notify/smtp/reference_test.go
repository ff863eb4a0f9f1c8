package smtp_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

func TestReferenceHeader(t *testing.T) {
	t.Parallel()
	ref := notify.Reference("appt-42/confirmed")
	for header, want := range map[string][2]string{
		"X-Mailin-Tag":                     {"X-Mailin-Tag", ref},
		"x-ref_2:%s":                       {"X-Ref_2", ref},
		"X-SES-MESSAGE-TAGS: reference=%s": {"X-Ses-Message-Tags", "reference=" + ref},
		`X-SMTPAPI: {"unique_args":{"reference":"%s"}}`: {"X-Smtpapi", `{"unique_args":{"reference":"` + ref + `"}}`},
		"X-Long: " + strings.Repeat("word ", 30) + "%s": {"X-Long", strings.Repeat("word ", 30) + ref},
	} {
		fake, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) { cfg.ReferenceHeader = header })
		msg := message("appt-42/confirmed")
		for range 2 {
			_, err := client.Notify(t.Context(), msg)
			require.NoError(t, err, header)
		}
		for _, got := range fake.Messages() {
			require.Equal(t, []string{want[1]}, got.Header[want[0]], header)
			require.NotContains(t, string(got.Raw), "appt-42", "the Key is the application's")
		}
	}
}

// TestReferenceHeaderIsOfItsOwn: what mail programs, relays and signatures look at is not
// for this, and nothing in it makes a second header.
func TestReferenceHeaderIsOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"From", "to", "Bcc", "Subject: %s", "Message-ID", "MESSAGE-ID: <%s@x>", "Content-Type", "List-Unsubscribe", "DKIM-Signature",
		"X-", "X", "X A", "X-Ü", "X-A\r\nBcc", "X-A: %s\r\nBcc: y@z.example", "X-A:\n%s", "X-A: %s\x00", "X-A: ü%s", "X-A: =?utf-8?q?%s?=", "X-A: a  %s",
		"X-A:", "X-A: no mark", "X-A: %s%s", "X-%s: %s", ":%s", " X-A", "X-A ", "X-A: " + strings.Repeat("a", 200) + "%s",
	} {
		_, err := smtp.New(smtp.Config{Addr: "mail.example.org:587", From: "care@clinic.example", ReferenceHeader: header})
		require.ErrorIs(t, err, telemed.ErrInvalid, "%q", header)
		for _, field := range telemed.Fields(err) {
			require.Equal(t, "ReferenceHeader", field.Field)
		}
	}
}
