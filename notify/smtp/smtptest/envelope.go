package smtptest

import (
	"slices"
	"strconv"
	"strings"
)

// forget ends a mail that is not finished.
func (s *session) forget() {
	s.begun, s.from, s.utf8, s.to, s.refused = false, "", false, nil, nil
	s.chunked, s.raw, s.tooLarge = false, nil, false
}

// path reads the address of MAIL or RCPT, and the parameters behind it. If it cannot, it
// returns what is to be said.
func (s *session) path(arg, prefix, bare, nobody, bad string) (address string, params []string, refused *reply) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", nil, s.say(bare)
	}
	text := strings.TrimSpace(arg[len(prefix):])
	if text == "" {
		return "", nil, s.say(nobody)
	}
	address, rest, closed := strings.Cut(strings.TrimPrefix(text, "<"), ">")
	local, host, _ := strings.Cut(address, "@")
	empty := address == "" && prefix == "FROM:"
	if !closed || text[0] != '<' || strings.ContainsAny(address, " <\t") || !empty && (local == "" || host == "") {
		return "", nil, s.say(bad, "{arg}", text)
	}
	return address, strings.Fields(rest), nil
}

func (s *session) mail(arg string) *reply {
	m := s.manners
	switch {
	case s.name == "" && m.noHello != "":
		return s.say(m.noHello)
	case s.chunked:
		return s.say(m.mailInChunks)
	}
	from, params, refused := s.path(arg, "FROM:", m.mailBare, m.mailNobody, m.mailBad)
	if refused != nil {
		return refused
	}
	if s.begun {
		return s.say(m.mailNested)
	}
	utf8 := false
	for _, param := range params {
		if refused := s.mailParam(from, param); refused != nil {
			return refused
		}
		utf8 = utf8 || strings.EqualFold(param, "SMTPUTF8")
	}
	return s.perform(OpMail, func() *reply {
		if s.server.cfg.requiresAuth() && !s.authed {
			return s.say(m.loginWanted)
		}
		s.begun, s.from, s.utf8, s.to = true, from, utf8, nil
		return s.say(m.mail)
	})
}

// mailParam refuses a parameter, or returns nil.
func (s *session) mailParam(from, param string) *reply {
	m := s.manners
	refuse := func(text string) *reply {
		if text == "" {
			return nil
		}
		return s.say(text, "{arg}", param, "{address}", from)
	}
	name, value, _ := strings.Cut(strings.ToUpper(param), "=")
	switch name {
	case "SIZE":
		size, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return refuse(m.sizeBad)
		}
		if int64(size) > s.server.cfg.MaxMessageBytes {
			return refuse(m.sizeAnnounced)
		}
	case "BODY":
		if value != "7BIT" && value != "8BITMIME" {
			return refuse(m.body)
		}
	case "SMTPUTF8":
		if !s.server.has("SMTPUTF8") {
			return refuse(m.noUTF8)
		}
	case "RET", "ENVID":
		if !s.server.has("DSN") {
			return refuse(m.parameter)
		}
	case "AUTH":
	default:
		return refuse(m.parameter)
	}
	return nil
}

func (s *session) rcpt(arg string) *reply {
	m := s.manners
	switch {
	case s.chunked:
		return s.say(m.rcptInChunks)
	case !s.begun:
		return s.say(m.rcptFirst)
	}
	to, params, refused := s.path(arg, "TO:", m.rcptBare, m.rcptNobody, m.rcptBad)
	if refused != nil {
		return refused
	}
	if m.parameter != "" {
		for _, param := range params {
			name, _, _ := strings.Cut(strings.ToUpper(param), "=")
			if !s.server.has("DSN") || !slices.Contains([]string{"NOTIFY", "ORCPT"}, name) {
				return s.say(m.parameter, "{arg}", param, "{address}", to)
			}
		}
	}
	r := s.perform(OpRcpt, func() *reply {
		switch {
		case s.server.refuses(to):
			return s.say(m.userUnknown, "{address}", to)
		case s.server.greylists(s.from, to):
			return s.say(m.greylisted, "{address}", to)
		}
		s.to = append(s.to, to)
		return s.say(m.rcpt)
	})
	if r != nil && r.code() >= 400 {
		s.refused = r
	}
	return r
}

func (s *Server) refuses(to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rejected[strings.ToLower(to)]
}

func (s *Server) greylists(from, to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	pair := strings.ToLower(from + " " + to)
	known := s.greeted[pair]
	s.greeted[pair] = true
	return s.cfg.Greylist && !known
}
