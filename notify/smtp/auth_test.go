package smtp_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// Each mechanism lets the right secret in and the wrong one not, with short secrets and with
// those that do not fit into the line of the command.
func TestMechanisms(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"} {
		for name, secret := range map[string]string{"short": "letmein", "long": strings.Repeat("abc.", 600)} {
			t.Run(mechanism+"/"+name, func(t *testing.T) {
				t.Parallel()
				for given, want := range map[string]error{secret: nil, "other": telemed.ErrUnauthorized} {
					fake, client := pair(t, smtptest.Config{Username: "care,team=1", Password: secret, Mechanisms: []string{mechanism}}, func(cfg *smtp.Config) {
						cfg.Username = "care,team=1"
						if strings.Contains(mechanism, "OAUTH") {
							cfg.Token = func(context.Context) (string, error) { return given, nil }
						} else {
							cfg.Password = telemed.NewSecret(given)
						}
					})
					_, err := client.Notify(t.Context(), message("auth"))
					if want == nil {
						require.NoError(t, err)
						require.Equal(t, "care,team=1", fake.Messages()[0].Username)
						continue
					}
					require.ErrorIs(t, err, want)
					e, ok := errors.AsType[*smtp.Error](err)
					require.True(t, ok)
					require.Equal(t, 535, e.Code, "the verdict, and not an answer on the way to it")
					require.Empty(t, fake.Messages())
				}
			})
		}
	}
}

// A server that offers all of them hears what tells it least.
func TestMechanismOrder(t *testing.T) {
	t.Parallel()
	for offer, want := range map[string]string{
		"LOGIN PLAIN SCRAM-SHA-256 CRAM-MD5": "AUTH SCRAM-SHA-256 ", "LOGIN PLAIN SCRAM-SHA-256-PLUS": "AUTH PLAIN ",
		"CRAM-MD5 LOGIN": "AUTH LOGIN", "CRAM-MD5 XOAUTH2": "",
	} {
		server := startRaw(t, func(s *rawServer) {
			s.extensions = []string{"STARTTLS", "AUTH " + offer}
			s.script = script(map[string]string{"auth": "535 5.7.8 no"})
		})
		client := newClient(t, server.addr(), func(cfg *smtp.Config) { credentials(cfg); cfg.TLS = server.clientTLS() })
		require.ErrorIs(t, client.Verify(t.Context()), telemed.ErrUnauthorized, offer)
		heard := ""
		for _, command := range server.seen() {
			if strings.HasPrefix(command, "AUTH") {
				heard = command
			}
		}
		require.True(t, strings.HasPrefix(heard, want) && (want != "" || heard == ""), "%s: %q", offer, heard)
	}
}

// A server that only says yes does not know the password.
func TestServerProvesItself(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{Username: "care", Password: "letmein", Mechanisms: []string{"SCRAM-SHA-256"}, WrongSignature: true}, credentials)
	_, err := client.Notify(t.Context(), message("forged"))
	require.ErrorIs(t, err, telemed.ErrUnauthorized)
	require.Contains(t, err.Error(), "does not prove")
	require.Empty(t, fake.Messages())

	for name, answer := range map[string]string{
		"yes at once":    "235 2.7.0 welcome",
		"no base64":      "334 %%%",
		"other nonce":    "334 cj1hYmMscz1jMkZzZEE9PSxpPTQwOTY=",
		"endless work":   "334 cj1hYmMscz1jMkZzZEE9PSxpPTIwMDAwMDAwMDA=",
		"its own words":  "334 ZT1wYXNzd29yZC1sZXRtZWlu",
		"too few rounds": "334 cj1hYmMscz1jMkZzZEE9PSxpPTE=",
		"two lines":      "334-cj1hYmMscz1jMkZzZEE9PSxpPTQwOTY=\r\n334 cj1hYmMscz1jMkZzZEE9PSxpPTE=",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startRaw(t, func(s *rawServer) {
				s.extensions = []string{"STARTTLS", "AUTH SCRAM-SHA-256 PLAIN"}
				s.script = script(map[string]string{"auth": answer})
			})
			client := newClient(t, server.addr(), func(cfg *smtp.Config) { credentials(cfg); cfg.TLS = server.clientTLS() })
			_, err := client.Notify(t.Context(), message("forged"))
			require.ErrorIs(t, err, telemed.ErrUnauthorized)
			require.NotContains(t, err.Error(), "letmein")
			require.Empty(t, server.messages())
			for _, command := range server.seen() {
				require.False(t, strings.HasPrefix(command, "AUTH PLAIN"), "the password is not told to whom it was not proven")
			}
		})
	}
}

// What is offered in the clear counts for nothing: whoever stands between takes SCRAM away
// there, and the server's own offer, under TLS, decides.
func TestMechanismsInTheClearAreForgotten(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) {
		s.extensions = []string{"STARTTLS", "AUTH PLAIN LOGIN"}
		s.secured = func(int) []string { return []string{"AUTH SCRAM-SHA-256 PLAIN LOGIN"} }
		s.script = script(map[string]string{"auth": "535 5.7.8 no"})
	})
	client := newClient(t, server.addr(), func(cfg *smtp.Config) { credentials(cfg); cfg.TLS = server.clientTLS() })
	require.ErrorIs(t, client.Verify(t.Context()), telemed.ErrUnauthorized)
	told := server.seen()
	require.True(t, strings.HasPrefix(told[len(told)-1], "AUTH SCRAM-SHA-256 "), told)
}

// TestBearerExamples: the client says what the examples of XOAUTH2 and of RFC 7628 say, byte
// by byte, and answers the challenge that tells why a token is refused, as each asks for it.
func TestBearerExamples(t *testing.T) {
	t.Parallel()
	for mechanism, c := range map[string]struct{ user, token, said, heard string }{
		"XOAUTH2": { // https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
			"someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
			"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==", "",
		},
		"OAUTHBEARER": { // https://www.rfc-editor.org/rfc/rfc7628#section-4.1
			"user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
			"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB", "AQ==",
		},
	} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			server := startRaw(t, func(s *rawServer) {
				s.extensions = []string{"STARTTLS", "AUTH " + mechanism}
				s.script = script(map[string]string{"auth": "334 eyJzdGF0dXMiOiI0MDEifQ==", "unknown": "535 5.7.8 no"})
			})
			token, calls := tokens(c.token)
			client := newClient(t, "server.example.com:143", func(cfg *smtp.Config) {
				cfg.Username, cfg.Token = c.user, token
				cfg.TLS = server.clientTLS()
				cfg.TLS.ServerName = "example.com"
				cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, server.addr())
				}
			})
			err := client.Verify(t.Context())
			require.ErrorIs(t, err, telemed.ErrUnauthorized)
			e, ok := errors.AsType[*smtp.Error](err)
			require.True(t, ok)
			require.Equal(t, 535, e.Code)
			told := server.seen()
			require.Equal(t, []string{"AUTH " + mechanism + " " + c.said, c.heard}, told[len(told)-2:])
			require.EqualValues(t, 2, calls.Load())
		})
	}
}

// tokens hands them out in their order, the last again and again.
func tokens(list ...string) (func(context.Context) (string, error), *atomic.Int64) {
	calls := new(atomic.Int64)
	return func(context.Context) (string, error) { return list[min(int(calls.Add(1)), len(list))-1], nil }, calls
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		list  []string
		want  error
		calls int64
	}{
		"good":                 {[]string{"fresh"}, nil, 1},
		"expired":              {[]string{"expired", "fresh"}, nil, 2},
		"expired and the same": {[]string{"expired"}, telemed.ErrUnauthorized, 2},
		"both refused":         {[]string{"expired", "revoked", "fresh"}, telemed.ErrUnauthorized, 2},
		"none":                 {[]string{""}, telemed.ErrUnauthorized, 1},
		"injected":             {[]string{"a\r\nMAIL FROM:<>"}, telemed.ErrUnauthorized, 1},
	} {
		for _, mechanism := range []string{"XOAUTH2", "OAUTHBEARER"} {
			t.Run(name+"/"+mechanism, func(t *testing.T) {
				t.Parallel()
				token, calls := tokens(c.list...)
				_, client := pair(t, smtptest.Config{Username: "care", Password: "fresh", Mechanisms: []string{mechanism}}, func(cfg *smtp.Config) {
					cfg.Username, cfg.Token = "care", token
				})
				for range 3 { // over one connection, if there is one
					_, err := client.Notify(t.Context(), message("token"))
					require.ErrorIs(t, err, c.want)
					if c.want != nil {
						require.NotContains(t, err.Error(), c.list[0]+".")
						break
					}
				}
				require.Equal(t, c.calls, calls.Load())
			})
		}
	}
}

// A server that is out of order is no reason for another token.
func TestTokenIsKeptFromABrokenServer(t *testing.T) {
	t.Parallel()
	token, calls := tokens("fresh")
	fake, client := pair(t, smtptest.Config{Mechanisms: []string{"XOAUTH2"}}, func(cfg *smtp.Config) { cfg.Username, cfg.Token = "care", token })
	fake.FailNext(smtptest.Fault{Op: smtptest.OpLogin, Status: 454, Body: "4.7.0 Temporary authentication failure"})
	require.ErrorIs(t, client.Verify(t.Context()), telemed.ErrUnavailable)
	require.EqualValues(t, 1, calls.Load())
}

func TestTokenFails(t *testing.T) {
	t.Parallel()
	cause := errors.New("refresh_token=hunter2")
	for _, c := range []struct{ err, want error }{
		{cause, telemed.ErrUnavailable},
		{errors.Join(cause, telemed.ErrReconnect), telemed.ErrUnauthorized},
	} {
		fake, client := pair(t, smtptest.Config{Mechanisms: []string{"XOAUTH2"}}, func(cfg *smtp.Config) {
			cfg.Username, cfg.Token = "care", func(context.Context) (string, error) { return "", c.err }
		})
		_, err := client.Notify(t.Context(), message("token"))
		require.ErrorIs(t, err, c.want)
		require.ErrorIs(t, err, cause)
		require.NotContains(t, err.Error(), "hunter2")
		require.Empty(t, fake.Messages())
	}
}

// A Token that never returns ends with the caller.
func TestTokenHangs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, client := pair(t, smtptest.Config{Mechanisms: []string{"XOAUTH2"}}, func(cfg *smtp.Config) {
		cfg.Username, cfg.Token = "care", func(ctx context.Context) (string, error) {
			cancel()
			<-ctx.Done()
			return "", ctx.Err()
		}
	})
	_, err := client.Notify(ctx, message("token"))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, telemed.ErrUnavailable)
}

func TestTokenConfig(t *testing.T) {
	t.Parallel()
	token, _ := tokens("fresh")
	for field, edit := range map[string]func(*smtp.Config){
		"Username": func(cfg *smtp.Config) { cfg.Token = token },
		"Token":    func(cfg *smtp.Config) { credentials(cfg); cfg.Token = token },
		"Security": func(cfg *smtp.Config) { cfg.Username, cfg.Token = "care", token; plaintext(cfg) },
	} {
		cfg := smtp.Config{Addr: "mail.example.org:587", From: "care@clinic.example"}
		edit(&cfg)
		_, err := smtp.New(cfg)
		require.ErrorIs(t, err, telemed.ErrInvalid)
		require.Equal(t, field, telemed.Fields(err)[0].Field)
	}
}

// A token is no more sent in the clear than a password.
func TestNoTokenInTheClear(t *testing.T) {
	t.Parallel()
	token, calls := tokens("fresh")
	server := startRaw(t, func(s *rawServer) { s.extensions = []string{"AUTH XOAUTH2"} })
	client := newClient(t, server.addr(), func(cfg *smtp.Config) {
		cfg.Username, cfg.Token, cfg.Security = "care", token, smtp.InsecureOpportunistic
	})
	_, err := client.Notify(t.Context(), message("clear"))
	require.ErrorIs(t, err, telemed.ErrUnauthorized)
	require.Zero(t, calls.Load())
	require.Len(t, server.seen(), 1)
}
