package smtp_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
)

// mailing is a message to four people, of whom three are copies.
var mailing = map[string]string{ // address: field
	"asha@example.org": "", "ravi@example.org": "Mail.Cc[0].Email", "desk@xn--bcher-kva.example": "Mail.Cc[2].Email", "zkhidden@example.net": "Mail.Bcc[0].Email",
}

// failingOnce answers the n-th time that stage comes with reply, once.
func failingOnce(stage string, n int64, reply string) func(int, string) string {
	var times atomic.Int64
	return func(_ int, at string) string {
		if at == "final" && stage == "final" { // is asked for twice, before and with the answer
			if m := times.Add(1); m == 2*n+1 || m == 2*n+2 {
				return reply
			}
			return ""
		}
		if at == stage && times.Add(1) == n+1 {
			return reply
		}
		return ""
	}
}

// Wherever a mailing fails, with a refusal for now, for good, or with the connection: nobody
// gets two mails by a repetition, and no copy is left out without being named.
func TestNobodyGetsTwoMailsAndNoneIsForgotten(t *testing.T) {
	t.Parallel()
	const later, full, leaving, nobody = "451 4.7.1 greylisted", "452 4.5.3 too many recipients", "421 4.3.2 going down", "550 5.1.1 nobody"
	for way, edit := range ways {
		for _, warm := range []bool{false, true} { // whether it is the connection's first message
			for _, reply := range []string{later, full, leaving, nobody, drop} {
				for _, at := range []struct {
					stage string
					n     int64
				}{{"mail", 0}, {"rcpt", 0}, {"rcpt", 1}, {"rcpt", 2}, {"rcpt", 3}, {"bdat", 0}, {"data", 0}, {"body", 0}, {"final", 0}} {
					t.Run(fmt.Sprint(way, "/", warm, "/", reply[:4], "/", at), func(t *testing.T) {
						t.Parallel()
						fail := failingOnce(at.stage, at.n, reply)
						var armed atomic.Bool
						server := startRaw(t, func(s *rawServer) {
							s.script = func(conn int, stage string) string {
								if !armed.Load() || at.stage == "body" && reply != drop {
									return ""
								}
								return fail(conn, stage)
							}
						})
						client := newClient(t, server.addr(), func(cfg *smtp.Config) { plaintext(cfg); edit(cfg) })
						if warm {
							first := message("first")
							first.To.Email = "first@example.org"
							_, err := client.Notify(t.Context(), first)
							require.NoError(t, err)
						}
						armed.Store(true)
						receipt, err := notify.Retry(client, notify.RetryPolicy{Base: 1}).Notify(t.Context(), withCopies("mailing"))
						got := server.got()
						delete(got, "first@example.org")
						for to, n := range got {
							require.Equal(t, 1, n, to)
						}
						if err != nil {
							taken := at.stage == "final" && reply == drop
							require.Equal(t, taken, len(got) > 0)
							unknown := at.stage == "final" && reply == drop || at.stage == "body" && reply == drop
							if unknown {
								require.ErrorIs(t, err, telemed.ErrAmbiguous)
							} else {
								require.Equal(t, nobody, reply, err)
							}
							return
						}
						named := map[string]bool{}
						for _, refused := range receipt.Refused {
							named[telemed.Fields(refused)[0].Field] = true
						}
						for to, field := range mailing {
							require.True(t, (got[to] == 1) != named[field], "%s: %d mails, named: %v", to, got[to], named[field])
						}
						refusedCopy := at.stage == "rcpt" && at.n > 0 && reply != drop && reply != leaving
						require.Len(t, receipt.Refused, map[bool]int{true: 1}[refusedCopy])
					})
				}
			}
		}
	}
}

// A copy that is refused is named once, also when the message goes over another connection.
func TestRefusedCopyIsNamedOnce(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) {
		s.noBDAT = "502 5.5.1 not implemented"
		var asked atomic.Int64
		s.script = func(_ int, stage string) string {
			if stage == "rcpt" && asked.Add(1)%4 == 2 {
				return "550 5.1.1 nobody"
			}
			return ""
		}
	})
	client := newClient(t, server.addr(), plaintext)
	receipt, err := client.Notify(t.Context(), withCopies("named"))
	require.NoError(t, err)
	require.Equal(t, 2, server.count())
	require.Len(t, receipt.Refused, 1)
}

// A message that is refused for an address, which the server does not name, is no verdict on
// its first recipient if it has others.
func TestRefusalBehindCopiesIsNotOfTheRecipient(t *testing.T) {
	t.Parallel()
	for way, edit := range ways {
		for _, reply := range []string{"550 5.1.1 no such user", "550 5.2.1 mailbox disabled", "556 no mail"} {
			t.Run(way+"/"+reply[:9], func(t *testing.T) {
				t.Parallel()
				server := startRaw(t, func(s *rawServer) {
					s.script = func(_ int, stage string) string {
						if stage == "final" {
							return reply
						}
						return ""
					}
				})
				client := newClient(t, server.addr(), func(cfg *smtp.Config) { plaintext(cfg); edit(cfg) })
				_, err := client.Notify(t.Context(), withCopies("copies"))
				require.NotErrorIs(t, err, notify.ErrRecipient)
				require.ErrorIs(t, err, telemed.ErrForbidden)
				_, err = client.Notify(t.Context(), message("alone"))
				require.ErrorIs(t, err, notify.ErrRecipient)
			})
		}
	}
}

// Letters that Unicode folds to others, such as the Kelvin sign to k, make another address.
func TestAddressesThatOnlyLookTheSame(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(*rawServer) {})
	client := newClient(t, server.addr(), plaintext)
	msg := message("kelvin")
	msg.To.Email = "kelvin@example.org"
	msg.Mail = &notify.Mail{Cc: []notify.Recipient{{Email: "\u212aelvin@example.org"}, {Email: "KELVIN@example.org"}}}
	_, err := client.Notify(t.Context(), msg)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"kelvin@example.org": 1, "\u212aelvin@example.org": 1}, server.got())
}
