package smtp_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// A mail server on this machine is reached by its environment alone. In an application
// getenv is os.Getenv.
func ExampleFromEnv() {
	fake, err := smtptest.Start(smtptest.Config{Username: "care", Password: "letmein"})
	if err != nil {
		panic(err)
	}
	defer fake.Close()
	host, port, _ := net.SplitHostPort(fake.Addr())
	env := map[string]string{
		"EMAIL_HOST": host, "EMAIL_PORT": port, "EMAIL_USER": "care", "EMAIL_PASS": "letmein",
		"EMAIL_TLS_CA": string(fake.Certificate()), // a real server's certificate is trusted without
	}
	getenv := func(name string) string { return env[name] }
	_, err = smtp.New(smtp.FromEnv(getenv))
	fmt.Println(err)

	env["EMAIL_FROM"] = "Clinic <care@clinic.example>"
	mail, err := smtp.New(smtp.FromEnv(getenv))
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	defer mail.Shutdown(ctx)
	_, err = mail.Notify(ctx, notify.Message{
		Key: "appt-42/confirmed", To: notify.Recipient{Email: "asha@example.org"},
		Content: &notify.Content{Subject: "Your appointment is confirmed", Text: "See you on Monday."},
	})
	fmt.Println(fake.Messages()[0].Subject, err)
	// Output:
	// smtp: From is required: set EMAIL_FROM
	// Your appointment is confirmed <nil>
}

func TestFromEnv(t *testing.T) {
	t.Parallel()
	const host, from = "EMAIL_HOST", "EMAIL_FROM"
	type env map[string]string
	for name, test := range map[string]struct {
		env      env
		addr     string
		security smtp.Security
		problem  string // of New, after "smtp: "
	}{
		"the port of submission": {env: env{host: "mail.example"}, addr: "mail.example:587"},
		"TLS from the first byte on its port": {
			env: env{host: "mail.example", "EMAIL_PORT": "465"}, addr: "mail.example:465", security: smtp.ImplicitTLS,
		},
		"TLS from the first byte on another port": {
			env: env{host: "mail.example", "EMAIL_PORT": "2465", "EMAIL_SECURITY": "implicit-tls"}, addr: "mail.example:2465", security: smtp.ImplicitTLS,
		},
		"STARTTLS on the other's port": {
			env: env{host: "mail.example", "EMAIL_PORT": "465", "EMAIL_SECURITY": "starttls"}, addr: "mail.example:465",
		},
		"IPv6":             {env: env{host: "::1"}, addr: "[::1]:587"},
		"IPv6 in brackets": {env: env{host: "[::1]"}, addr: "[::1]:587"},
		"in the clear on this machine": {
			env: env{host: "localhost", "EMAIL_PORT": "25", "EMAIL_SECURITY": "insecure-plaintext"}, addr: "localhost:25", security: smtp.InsecurePlaintext,
		},
		"in the clear over a network": {
			env: env{host: "mail.example", "EMAIL_SECURITY": "insecure-plaintext"}, addr: "mail.example:587", security: smtp.InsecurePlaintext,
			problem: "Security is insecure-plaintext, which is for a server on this machine: correct EMAIL_SECURITY",
		},
		"a password in the clear": {
			env:  env{host: "127.0.0.1", "EMAIL_SECURITY": "insecure-plaintext", "EMAIL_USER": "care", "EMAIL_PASS": "letmein"},
			addr: "127.0.0.1:587", security: smtp.InsecurePlaintext,
			problem: "Security is InsecurePlaintext, and credentials are never sent without TLS: correct EMAIL_SECURITY",
		},
		"a user without a password": {
			env: env{host: "mail.example", "EMAIL_USER": "care"}, addr: "mail.example:587", problem: "Password is required with a Username: set EMAIL_PASS",
		},
		"a password without a user": {
			env: env{host: "mail.example", "EMAIL_PASS": "letmein"}, addr: "mail.example:587", problem: "Username is required with a Password: set EMAIL_USER",
		},
		"a port and no host": {env: env{"EMAIL_PORT": "465"}, security: smtp.ImplicitTLS, problem: "Addr is required: set EMAIL_HOST"},
		"a host with a port": {
			env: env{host: "mail.example:587"}, addr: "[mail.example:587]:587", problem: `Addr is not "host:port": correct EMAIL_HOST`,
		},
		"an address of the web": {
			env: env{host: "smtp://mail.example"}, addr: "[smtp://mail.example]:587", problem: `Addr is not "host:port": correct EMAIL_HOST`,
		},
		"a port that is none": {
			env: env{host: "mail.example", "EMAIL_PORT": "65536"}, addr: "mail.example:65536", problem: `Addr is not "host:port": correct EMAIL_HOST or EMAIL_PORT`,
		},
		"a word that nobody knows": {
			env: env{host: "mail.example", "EMAIL_SECURITY": "tls"}, addr: "mail.example:587",
			problem: "Security is none of starttls, implicit-tls and insecure-plaintext: correct EMAIL_SECURITY",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.env[from] = "care@clinic.example"
			cfg := smtp.FromEnv(func(name string) string { return test.env[name] })
			require.Equal(t, test.addr, cfg.Addr)
			require.Equal(t, test.security, cfg.Security)
			_, err := smtp.New(cfg)
			if test.problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, telemed.ErrInvalid)
			require.EqualError(t, err, "smtp: "+test.problem)
		})
	}
}

// A password keeps its blanks and loses the line break of the file that it came from.
func TestPasswordFromEnv(t *testing.T) {
	t.Parallel()
	cfg := smtp.FromEnv(func(name string) string { return map[string]string{"EMAIL_PASS": " abcd efgh \r\n"}[name] })
	require.Equal(t, " abcd efgh ", cfg.Password.Reveal())
}
