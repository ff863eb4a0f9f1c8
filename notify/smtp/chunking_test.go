package smtp_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
)

// forgery is a message whose text is a dialogue: a server that reads it as
// commands queues a mail that the clinic never wrote.
func forgery(key string) notify.Message {
	msg := message(key)
	msg.Content = &notify.Content{Subject: "Your question", Text: "Hello\nRSET\nMAIL FROM:<ceo@clinic.example>\nRCPT TO:<victim@example.org>\nDATA\nSubject: pay\n\nPay at once.\n.\n"}
	return msg
}

// A server that offers CHUNKING and does not know BDAT never sees a message where
// it expects a command.
func TestServerWithoutBDAT(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"500 5.5.1 what?", "501 5.5.4 arguments", "502 5.5.1 not implemented", "503 5.5.1 bad sequence", "551 5.7.1 null BDAT", "555 5.5.4 parameters"} {
		for name, edit := range map[string]func(*smtp.Config){
			"pipelined":    plaintext,
			"step by step": func(cfg *smtp.Config) { plaintext(cfg); cfg.DisablePipelining = true },
			"none is kept": func(cfg *smtp.Config) { plaintext(cfg); cfg.IdleTimeout = -1 },
		} {
			t.Run(reply[:3]+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := startRaw(t, func(s *rawServer) { s.noBDAT = reply })
				client := newClient(t, server.addr(), edit)
				for range 2 {
					_, err := client.Notify(t.Context(), forgery("forgery"))
					require.NoError(t, err)
				}
				require.Len(t, server.messages(), 2)
				for _, raw := range server.messages() {
					require.Contains(t, raw, "\r\nMAIL FROM:<ceo@clinic.example>\r\n", "it is a part of the text")
				}
				chunks := 0
				for _, command := range server.seen() {
					require.True(t, slices.Contains([]string{"MAIL FROM:<care@clinic.example>", "RCPT TO:<asha@example.org>", "BDAT 19", "MIME-Version: 1.0", "DATA", "QUIT"}, strings.Split(command, " SIZE=")[0]) ||
						strings.HasPrefix(command, "EHLO "), "the server read %q as a command", command)
					if command == "BDAT 19" {
						chunks++
					}
				}
				require.Equal(t, 1, chunks, "the client remembers the answer")
			})
		}
	}
}

// The opening line goes ahead once on each connection, and in the envelope's flight if
// the server has PIPELINING. No chunk is empty: Postfix refuses those.
func TestG21EmptyChunk(t *testing.T) {
	t.Parallel()
	for name, extensions := range map[string][]string{"pipelined": {"PIPELINING", "CHUNKING"}, "step by step": {"CHUNKING"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startRaw(t, func(s *rawServer) { s.extensions = extensions })
			client := newClient(t, server.addr(), func(cfg *smtp.Config) { plaintext(cfg); cfg.MaxMessages = 2 })
			for range 3 {
				_, err := client.Notify(t.Context(), forgery("chunks"))
				require.NoError(t, err)
			}
			require.Len(t, server.messages(), 3)
			var verbs []string
			for _, command := range server.seen() {
				if verb, _, _ := strings.Cut(command, ":"); !strings.HasPrefix(verb, "EHLO") && verb != "QUIT" {
					if strings.HasSuffix(verb, " LAST") {
						verb = "BDAT LAST"
					}
					verbs = append(verbs, verb)
				}
			}
			first, next := []string{"MAIL FROM", "RCPT TO", "BDAT 19", "BDAT LAST"}, []string{"MAIL FROM", "RCPT TO", "BDAT LAST"}
			require.Equal(t, slices.Concat(first, next, first), verbs)
		})
	}
}

// A server that takes the first chunk and refuses the second gets the same message by
// DATA, over another connection.
func TestServerForgetsBDAT(t *testing.T) {
	t.Parallel()
	var refused atomic.Bool
	server := startRaw(t, func(s *rawServer) {
		s.script = func(conn int, stage string) string {
			if conn == 0 && stage == "final" {
				refused.Store(true)
				return "502 5.5.1 not implemented"
			}
			return ""
		}
	})
	client := newClient(t, server.addr(), plaintext)
	_, err := client.Notify(t.Context(), message("forgets"))
	require.NoError(t, err)
	require.True(t, refused.Load())
	require.Len(t, server.messages(), 1)
	require.Equal(t, 2, server.count())
	require.Contains(t, server.seen(), "DATA")
}

// A server that says yes to BDAT, and to the chunk behind it as if that were a command, has
// not understood. It gets the message by DATA.
func TestServerAnswersTheChunk(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) {
		s.script = script(map[string]string{"bdat": "250 2.0.0 yes\r\n250 2.0.0 and yes"})
	})
	client := newClient(t, server.addr(), plaintext)
	for range 2 {
		_, err := client.Notify(t.Context(), message("answered"))
		require.NoError(t, err)
	}
	require.Len(t, server.messages(), 2)
	require.Equal(t, 2, server.count())
}
