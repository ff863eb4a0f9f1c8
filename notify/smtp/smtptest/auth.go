package smtptest

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// The mechanisms that go-sasl has no server for, or one that hides the answer.
const (
	mechanismSCRAM       = "SCRAM-SHA-256"
	mechanismXOAUTH2     = "XOAUTH2"
	mechanismOAuthBearer = "OAUTHBEARER"
)

// scramServer is SCRAM-SHA-256 (RFC 5802, RFC 7677).
type scramServer struct {
	session *session
	talk    *scram.ServerConversation
	asked   bool
}

func (s *session) scram() (sasl.Server, error) {
	cfg := s.server.cfg
	if !cfg.requiresAuth() {
		return nil, errBadLogin // it proves that it knows the password, and there is none
	}
	owner, err := scram.SHA256.NewClient(cfg.Username, cfg.Password, "")
	if err != nil {
		return nil, err
	}
	stored, err := owner.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "smtptest salt", Iters: 4096})
	if err != nil {
		return nil, err
	}
	server, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) {
		if !same(user, cfg.Username) {
			return scram.StoredCredentials{}, errBadLogin
		}
		return stored, nil
	})
	if err != nil {
		return nil, err
	}
	return &scramServer{session: s, talk: server.NewConversation()}, nil
}

func (s *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && !s.asked {
		s.asked = true
		return nil, false, nil
	}
	if s.talk.Done() {
		return nil, true, nil
	}
	line, err := s.talk.Step(string(response))
	if s.talk.Done() {
		err = s.session.login(s.talk.Username(), s.talk.Valid)
	}
	if err != nil {
		return nil, false, err
	}
	if s.talk.Done() && s.session.server.cfg.WrongSignature {
		line = "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	}
	return []byte(line), false, nil
}

// errBadLogin is answered as the server answers a wrong password.
var errBadLogin = errors.New("smtptest: not who it says")

// tokenServer is XOAUTH2 and OAUTHBEARER (RFC 7628). It says why it refuses a token in a
// challenge, and refuses after the answer to that.
type tokenServer struct {
	mechanism string
	check     func(user, token string) error
	asked     bool
	refusal   error
}

// whyRefused is what Gmail says, the scope included.
const whyRefused = `{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}`

func (t *tokenServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && !t.asked:
		t.asked = true
		return nil, false, nil
	case t.refusal != nil && string(response) != t.heard():
		return nil, false, answer(501, "5.5.2 Cannot decode response")
	case t.refusal != nil:
		return nil, false, t.refusal
	}
	user, token, ok := t.parse(string(response))
	if !ok {
		return nil, false, answer(501, "5.5.2 Cannot decode response")
	}
	err = t.check(user, token)
	if r, isAnswer := errors.AsType[*reply](err); isAnswer && r.code()/100 == 5 {
		t.refusal = err
		return []byte(whyRefused), false, nil
	}
	return nil, err == nil, err
}

// heard is how a client has to answer the refusal.
func (t *tokenServer) heard() string {
	if t.mechanism == mechanismOAuthBearer {
		return "\x01"
	}
	return ""
}

func (t *tokenServer) parse(response string) (user, token string, ok bool) {
	fields := strings.Split(response, "\x01")
	if len(fields) < 4 || fields[len(fields)-1] != "" || fields[len(fields)-2] != "" {
		return "", "", false
	}
	prefix, suffix := "user=", ""
	if t.mechanism == mechanismOAuthBearer {
		prefix, suffix = "n,a=", ","
	}
	user, named := strings.CutPrefix(fields[0], prefix)
	user, ended := strings.CutSuffix(user, suffix)
	user = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(user)
	for _, field := range fields[1:] {
		if found, is := strings.CutPrefix(field, "auth=Bearer "); is {
			token = found
		}
	}
	return user, token, named && ended && token != ""
}
