package smtp_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// newClient returns a client of addr, changed by edit, that closes with t.
func newClient(t testing.TB, addr string, edit func(*smtp.Config)) *smtp.Client {
	t.Helper()
	cfg := smtp.Config{Addr: addr, From: "Clinic <care@clinic.example>"}
	if edit != nil {
		edit(&cfg)
	}
	client, err := smtp.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, client.Shutdown(ctx))
	})
	return client
}

// Replies of a server that refuses. The texts repeat the address as real servers do, so
// that a client that quotes them is found out.
var (
	refusedSender    = smtptest.Fault{Op: smtptest.OpMail, Status: 550, Body: "5.7.1 <care@clinic.example>: Sender not permitted"}
	refusedRecipient = smtptest.Fault{Op: smtptest.OpRcpt, Status: 550, Body: "5.1.1 <asha@example.org>: User unknown"}
	greylisted       = smtptest.Fault{Op: smtptest.OpRcpt, Status: 451, Body: "4.7.1 <asha@example.org>: Greylisted, please try again later"}
	outOfOrder       = smtptest.Fault{Op: smtptest.OpRcpt, Status: 451, Body: "4.3.0 <asha@example.org>: Temporary lookup failure"}
	refusedMessage   = smtptest.Fault{Op: smtptest.OpData, Status: 554, Body: "5.7.1 Message from <care@clinic.example> looks like spam"}
)

// pair returns a server and a client that trusts it.
func pair(t testing.TB, server smtptest.Config, edit func(*smtp.Config)) (*smtptest.Server, *smtp.Client) {
	t.Helper()
	fake := smtptest.NewServer(t, server)
	return fake, newClient(t, fake.Addr(), func(cfg *smtp.Config) {
		cfg.TLS = fake.ClientTLS()
		if edit != nil {
			edit(cfg)
		}
	})
}

func message(key string) notify.Message {
	return notify.Message{
		Key:     key,
		To:      notify.Recipient{Name: "Asha Rao", Email: "asha@example.org"},
		Content: &notify.Content{Subject: "Appointment confirmed", Text: "Dear Asha,\nsee you on Monday.\n", HTML: "<p>See you on Monday.</p>"},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*smtp.Config){
		"pipelined chunks": nil,
		"pipelined data":   func(cfg *smtp.Config) { cfg.DisableChunking = true },
		"step by step":     func(cfg *smtp.Config) { cfg.DisableChunking, cfg.DisablePipelining = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			notifytest.Run(t, func(t *testing.T) notifytest.Harness {
				fake, client := pair(t, smtptest.Config{Username: "care", Password: "letmein"}, func(cfg *smtp.Config) {
					cfg.Username, cfg.Password = "care", telemed.NewSecret("letmein")
					if edit != nil {
						edit(cfg)
					}
				})
				return notifytest.Harness{
					Notifier: client,
					Channel:  notify.Email,
					Content:  message("").Content,
					Accepted: func() int { return len(fake.Messages()) },
					Fail: func(kind error) bool {
						fault, ok := map[error]smtptest.Fault{
							telemed.ErrUnauthorized: {Op: smtptest.OpMail, Status: 530, Body: "5.7.0 Authentication required"},
							telemed.ErrForbidden:    refusedMessage,
							telemed.ErrRateLimited:  greylisted,
							telemed.ErrUnavailable:  outOfOrder,
							telemed.ErrAmbiguous:    {Op: smtptest.OpData, LoseAnswer: true},
							notify.ErrRecipient:     refusedRecipient,
						}[kind]
						fake.FailNext(fault)
						return ok
					},
					Hang: func() { fake.FailNext(smtptest.Fault{Op: smtptest.OpData, Hang: true}) },
				}
			})
		})
	}
}

func TestNotifyArrives(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{Username: "care", Password: "letmein"}, func(cfg *smtp.Config) {
		cfg.Username, cfg.Password, cfg.ReplyTo = "care", telemed.NewSecret("letmein"), "desk@clinic.example"
	})
	receipt, err := client.Notify(t.Context(), message("appt-42/confirmed"))
	require.NoError(t, err)
	require.Len(t, fake.Messages(), 1)
	got := fake.Messages()[0]
	require.True(t, got.TLS)
	require.Equal(t, "care", got.Username)
	require.Equal(t, "care@clinic.example", got.Sender)
	require.Equal(t, []string{"asha@example.org"}, got.Recipients)
	require.Equal(t, `"Clinic" <care@clinic.example>`, got.From.String())
	require.Equal(t, `"Asha Rao" <asha@example.org>`, got.To[0].String())
	require.Equal(t, "desk@clinic.example", got.Header.Get("Reply-To"))
	require.Equal(t, "auto-generated", got.Header.Get("Auto-Submitted"))
	require.Equal(t, "Appointment confirmed", got.Subject)
	require.Equal(t, "Dear Asha,\nsee you on Monday.\n", got.Text)
	require.Equal(t, "<p>See you on Monday.</p>", got.HTML)
	require.Equal(t, "<"+got.ID+">", receipt.ID)
}
