package smtp

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"

	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
)

// FromEnv returns a Config that is filled from the environment:
//
//   - EMAIL_HOST and EMAIL_FROM are the host of Addr and From. Required.
//   - EMAIL_PORT is the port of Addr. If it is not set, 587.
//   - EMAIL_USER and EMAIL_PASS are Username and Password. Both or neither.
//   - EMAIL_SECURITY is Security: "starttls", "implicit-tls" or "insecure-plaintext", which
//     is for a host on loopback. If it is not set, implicit-tls on port 465, else starttls.
//   - EMAIL_TLS_CA has the certificates, in PEM, that are trusted in place of the system's:
//     their text, and not the name of a file. Its line breaks may be written as \n.
//
// Only getenv is asked, which is os.Getenv in most applications; a nil one is an empty
// environment. What is missing or wrong is said by [New], with the name of the variable.
// Set the other fields before New.
func FromEnv(getenv func(name string) string) Config {
	env := fault.NewEnv(getenv)
	host, port := env.Text("Addr", "EMAIL_HOST"), env.Text("Addr", "EMAIL_PORT")
	cfg := Config{
		From:     env.Text("From", "EMAIL_FROM"),
		Username: env.Text("Username", "EMAIL_USER"),
		Password: env.Secret("Password", "EMAIL_PASS"),
		Security: securityFrom(env, host, port),
		TLS:      trustFrom(env),
		env:      env,
	}
	if host != "" {
		cfg.Addr = net.JoinHostPort(strings.Trim(host, "[]"), cmp.Or(port, "587"))
	}
	return cfg
}

func securityFrom(env *fault.Env, host, port string) Security {
	switch env.Text("Security", "EMAIL_SECURITY") {
	case "":
		if port == "465" {
			return ImplicitTLS
		}
	case "starttls":
	case "implicit-tls":
		return ImplicitTLS
	case "insecure-plaintext":
		if !address.Loopback(strings.Trim(host, "[]")) {
			env.Wrong("Security", "is insecure-plaintext, which is for a server on this machine")
		}
		return InsecurePlaintext
	default:
		env.Wrong("Security", "is none of starttls, implicit-tls and insecure-plaintext")
	}
	return StartTLS
}

func trustFrom(env *fault.Env) *tls.Config {
	pem := strings.ReplaceAll(env.Text("TLS", "EMAIL_TLS_CA"), `\n`, "\n")
	if pem == "" {
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		env.Wrong("TLS", "has no certificate: it takes the text in PEM, and no file's name")
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
