//go:build !race

package wordstest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
)

// A mail server that answers one of the commands with a patient's words, in replies that
// are well formed and others that are not.
func TestNoWordOfAMailServerComesBack(t *testing.T) {
	t.Parallel()
	found := leaks{}
	for _, word := range words {
		for _, step := range []string{"", "EHLO", "HELO", "MAIL", "RCPT", "DATA", ".", "none"} {
			for _, reply := range []string{"550 5.1.1 WORD", "451-WORD\r\n451 4.7.1 WORD", "WORD", "250-WORD\r\nWORD", "550 WORD.WORD.WORD no", "\x00WORD"} {
				synctest.Test(t, func(t *testing.T) {
					said, answer := strings.ReplaceAll(reply, "WORD", word), fmt.Sprintf("%s %q", step, reply)
					var log bytes.Buffer
					client, err := smtp.New(smtp.Config{
						Addr: "mail.example:587", From: "care@clinic.example", Security: smtp.InsecurePlaintext, LocalName: "app.example",
						Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
						Dial: func(context.Context, string, string) (net.Conn, error) {
							if step == "none" {
								return nil, errors.New(said)
							}
							ours, theirs := net.Pipe()
							go serve(theirs, step, said)
							return ours, nil
						},
					})
					require.NoError(t, err)
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
					defer cancel()
					_, err = client.Notify(ctx, notify.Message{
						Key: "k", To: notify.Recipient{Name: "Asha Verma", Email: subject, Locale: "en"},
						Content: &notify.Content{Subject: "Visit of Asha", Text: "Dear Asha"},
					})
					if err != nil {
						found.look("smtp "+step, answer, err)
					}
					found.lookAt("smtp log", answer, log.String())
					_ = client.Shutdown(ctx)
				})
			}
		}
	}
	found.report(t)
}

// serve answers the command step as it is told, and others well. Step "" is the greeting.
func serve(conn net.Conn, step, said string) {
	defer conn.Close()
	reply := func(command, good string) {
		if command == step {
			good = said
		}
		_, _ = conn.Write([]byte(good + "\r\n"))
	}
	reply("", "220 mail.example")
	data := false
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		command, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case data && line != ".":
		case data:
			data = false
			reply(".", "250 2.0.0 taken")
		case command == "DATA":
			data = step != "DATA"
			reply(command, "354 go on")
		default:
			reply(command, "250 mail.example")
		}
	}
}
