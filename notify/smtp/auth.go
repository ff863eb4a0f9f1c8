package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// authenticate sends the credentials, and only through TLS. Of what the server offers it
// takes the mechanism that tells it the least.
func (k *conn) authenticate(ctx context.Context) error {
	if !k.tls {
		return failed("auth", telemed.ErrUnauthorized, "credentials are never sent without TLS")
	}
	params, offered := k.ext["AUTH"]
	if !offered {
		return failed("auth", telemed.ErrUnauthorized, "the server does not offer AUTH, and there are credentials")
	}
	mechanisms := strings.Fields(params)
	if k.client.cfg.Token != nil {
		return k.authByToken(ctx, mechanisms)
	}
	return k.authByPassword(ctx, mechanisms)
}

// authByPassword leaves SCRAM out for a password that SASLprep (RFC 4013) does not take.
func (k *conn) authByPassword(ctx context.Context, mechanisms []string) error {
	user, password := k.client.cfg.Username, k.client.cfg.Password.Reveal()
	if slices.Contains(mechanisms, "SCRAM-SHA-256") {
		if prepared, err := scram.SHA256.NewClient(user, password, ""); err == nil {
			return k.scram(ctx, prepared.NewConversation())
		}
	}
	if slices.Contains(mechanisms, "PLAIN") {
		r, err := k.auth(ctx, "PLAIN", "\x00"+user+"\x00"+password)
		return k.wanted("auth", r, err, 235)
	}
	if slices.Contains(mechanisms, "LOGIN") {
		return k.login(ctx, user, password)
	}
	return failed("auth", telemed.ErrUnauthorized, "the server offers none of AUTH SCRAM-SHA-256, PLAIN and LOGIN")
}

// maxCommand is the length of a command line by RFC 5321, 4.5.3.1.4.
const maxCommand = 512

// auth begins a mechanism with the client's first words and returns the answer to them. They
// go with the command if they fit into its line, else by themselves (RFC 4954, 4).
func (k *conn) auth(ctx context.Context, mechanism, first string) (reply, error) {
	command := "AUTH " + mechanism
	if whole := command + " " + encode(first); len(whole)+2 <= maxCommand {
		return k.respond(ctx, whole)
	}
	if _, err := k.cmd(ctx, "auth", 334, command); err != nil {
		return reply{}, err
	}
	return k.respond(ctx, encode(first))
}

// respond sends one line and returns the answer, whatever it is.
func (k *conn) respond(ctx context.Context, line string) (reply, error) {
	if err := k.write(ctx, "auth", line+"\r\n"); err != nil {
		return reply{}, err
	}
	return k.answer(ctx, "auth", telemed.ErrUnavailable, k.client.cfg.CommandTimeout)
}

func (k *conn) login(ctx context.Context, user, password string) error {
	if _, err := k.cmd(ctx, "auth", 334, "AUTH LOGIN"); err != nil {
		return err
	}
	if _, err := k.cmd(ctx, "auth", 334, encode(user)); err != nil {
		return err
	}
	_, err := k.cmd(ctx, "auth", 235, encode(password))
	return err
}

// unproven is the Reason for a server that does not know the password which it asks for.
const unproven = "the server does not prove that it knows the password"

// scram goes through RFC 5802 with SHA-256 (RFC 7677). The server's proof comes as a last
// challenge, with an empty answer. A yes ahead of the proof is none.
func (k *conn) scram(ctx context.Context, talk *scram.ClientConversation) error {
	line, err := talk.Step("")
	if err != nil {
		return failed("auth", telemed.ErrUnauthorized, "the SCRAM exchange cannot begin")
	}
	r, err := k.auth(ctx, "SCRAM-SHA-256", line)
	for range 2 {
		if err == nil && r.code == 235 {
			return failed("auth", telemed.ErrUnauthorized, unproven)
		}
		if err := k.wanted("auth", r, err, 334); err != nil {
			return err
		}
		challenge, ok := r.challenge()
		if !ok || !affordable(challenge) {
			return failed("auth", telemed.ErrUnauthorized, "the server's SCRAM challenge is not acceptable")
		}
		if line, err = talk.Step(challenge); err != nil {
			return failed("auth", telemed.ErrUnauthorized, unproven)
		}
		r, err = k.respond(ctx, encode(line))
	}
	return k.wanted("auth", r, err, 235)
}

// maxIterations bounds the work that a server may ask for: about a second.
const maxIterations = 2_000_000

var iterations = regexp.MustCompile(`,i=([0-9]+)`)

func affordable(challenge string) bool {
	match := iterations.FindStringSubmatch(challenge)
	if match == nil {
		return true // not the challenge that says it
	}
	n, err := strconv.Atoi(match[1])
	return err == nil && n <= maxIterations
}

// authByToken asks for a token, and once more if the server refuses it: it may have expired
// since it was got. A second one that is the same is not tried.
func (k *conn) authByToken(ctx context.Context, mechanisms []string) error {
	mechanism := "XOAUTH2"
	if !slices.Contains(mechanisms, mechanism) {
		mechanism = "OAUTHBEARER"
	}
	if !slices.Contains(mechanisms, mechanism) {
		return failed("auth", telemed.ErrUnauthorized, "the server offers neither AUTH XOAUTH2 nor OAUTHBEARER")
	}
	token, err := k.client.token(ctx)
	if err != nil {
		return err
	}
	refusal := k.bearer(ctx, mechanism, token)
	if e, ok := errors.AsType[*Error](refusal); !ok || e.Code != 535 {
		return refusal
	}
	fresh, err := k.client.token(ctx)
	if err != nil {
		return err
	}
	if fresh == token {
		return refusal
	}
	return k.bearer(ctx, mechanism, fresh)
}

// bearer sends a token by https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
// or RFC 7628. A refusal comes as a challenge that tells why, and the code only after an
// answer to that: an empty one, or \x01.
func (k *conn) bearer(ctx context.Context, mechanism, token string) error {
	user, heard := k.client.cfg.Username, ""
	first := "user=" + user + "\x01auth=Bearer " + token + "\x01\x01"
	if mechanism == "OAUTHBEARER" {
		host, port, _ := net.SplitHostPort(k.client.cfg.Addr) // New has split it before
		user = strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
		first = "n,a=" + user + ",\x01host=" + host + "\x01port=" + port + "\x01auth=Bearer " + token + "\x01\x01"
		heard = "\x01"
	}
	r, err := k.auth(ctx, mechanism, first)
	if err != nil || r.code != 334 {
		return k.wanted("auth", r, err, 235)
	}
	r, err = k.respond(ctx, encode(heard))
	if err == nil && r.code < 400 { // it has just said no
		return k.lostStep("auth", r, telemed.ErrUnavailable)
	}
	return k.wanted("auth", r, err, 235)
}

// token calls Config.Token. Its error says that it is the token's, and nothing of its words.
func (c *Client) token(ctx context.Context) (string, error) {
	token, err := c.cfg.Token(ctx)
	if err != nil {
		return "", noToken(ctx, err)
	}
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || len(token) > maxToken {
		return "", failed("auth", telemed.ErrUnauthorized, "Token returned what is no token")
	}
	return token, nil
}

// maxToken fits into the line of 12288 octets that RFC 4954 allows.
const maxToken = 8 << 10

// noToken is temporary unless err says that a person must act.
func noToken(ctx context.Context, err error) error {
	kind := telemed.ErrUnavailable
	if forAPerson(err) {
		kind = telemed.ErrUnauthorized
	}
	if ctx.Err() != nil {
		return lost(ctx, "auth", kind, err)
	}
	return &Error{Op: "auth", Reason: "Token failed", Err: fault.OfApplication("Token", err), kind: kind}
}

// forAPerson reports whether an error of the application's own says that trying again is no
// use before somebody has acted.
func forAPerson(err error) bool {
	for _, final := range []error{telemed.ErrReconnect, telemed.ErrUnauthorized, telemed.ErrForbidden, telemed.ErrInvalid} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// challenge decodes what a 334 says.
func (r reply) challenge() (string, bool) {
	if len(r.lines) != 1 {
		return "", len(r.lines) == 0
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.lines[0]))
	return string(text), err == nil
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func validCredential(text string) bool {
	return len(text) <= 4096 && !strings.ContainsAny(text, "\x00\x01\r\n")
}
