package smtptest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
)

func (s *session) data(string) *reply {
	m := s.manners
	switch {
	case s.chunked:
		return s.say(m.dataInChunks)
	case !s.begun:
		return s.say(m.dataFirst)
	case len(s.to) == 0:
		return s.toNobody("DATA", m.dataToNobody)
	}
	if s.write(s.say(m.dataGo)) != nil {
		return nil
	}
	fault := s.server.script.Next(OpData)
	if fault.LoseRequest {
		return s.loseMessage(fault, s.r)
	}
	if !s.readDotted() {
		return nil
	}
	return s.finish(fault, m.data, m.dataTooLarge)
}

// toNobody answers verb where no recipient was taken.
func (s *session) toNobody(verb, text string) *reply {
	if s.refused == nil || s.manners.allRefused == "" {
		return s.say(text)
	}
	_, why, _ := strings.Cut(s.refused.text, " ")
	return s.say(s.manners.allRefused, "{text}", why, "{arg}", verb)
}

// lostAfter is how much of a message arrives before it is lost on its way.
const lostAfter = 64

// loseMessage goes while the message is on its way.
func (s *session) loseMessage(f fake.Fault, message io.Reader) *reply {
	s.pause(f)
	_, _ = io.ReadFull(message, make([]byte, lostAfter))
	return s.note(OpData, s.hangUp())
}

// readDotted reads up to the dot that stands alone on a line. Only CRLF ends one.
func (s *session) readDotted() bool {
	atStart := true
	for {
		_ = s.nc.SetReadDeadline(time.Now().Add(s.server.cfg.IdleTimeout))
		part, err := s.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return false
		}
		if atStart {
			if string(part) == ".\r\n" {
				return true
			}
			part = bytes.TrimPrefix(part, []byte("."))
		}
		atStart = bytes.HasSuffix(part, []byte("\r\n"))
		s.take(part)
	}
}

// take keeps a part of a message, as long as that is not too large.
func (s *session) take(part []byte) {
	s.tooLarge = s.tooLarge || int64(len(s.raw)+len(part)) > s.server.cfg.MaxMessageBytes
	if !s.tooLarge {
		s.raw = append(s.raw, part...)
	}
}

// finish answers a message that is whole, as its fault wants it.
func (s *session) finish(f fake.Fault, taken, tooLarge string, with ...string) *reply {
	defer s.forget()
	return s.note(OpData, s.play(f, func() *reply {
		if s.tooLarge {
			return s.say(tooLarge)
		}
		if refused := s.keep(); refused != nil {
			return refused
		}
		return s.say(taken, append(with, "{id}", strconv.Itoa(len(s.server.messages.All())))...)
	}))
}

func (s *session) keep() *reply {
	msg, err := parse(s.raw, s.utf8)
	if err != nil {
		return &reply{text: "554 5.6.0 " + err.Error()}
	}
	msg.TLS, msg.Username, msg.Sender, msg.Recipients, msg.At = s.secure, s.user, s.from, s.to, time.Now()
	s.server.messages.Add(msg)
	return nil
}

// bdat reads a chunk, also one that is refused (RFC 3030, 2), unless the server does not
// know the command.
func (s *session) bdat(arg string) *reply {
	m := s.manners
	if !s.server.has("CHUNKING") {
		if m.chunkAbsent == "" {
			return s.unknown()
		}
		return &reply{text: s.say(m.chunkAbsent).text, end: m.chunkBadEnds}
	}
	words := strings.Fields(arg)
	last := len(words) == 2 && strings.EqualFold(words[1], "LAST")
	var size uint64
	err := strconv.ErrSyntax
	if len(words) == 1 || last {
		size, err = strconv.ParseUint(words[0], 10, 63)
	}
	if err != nil {
		return &reply{text: s.say(m.chunkBad).text, end: m.chunkBadEnds}
	}
	if refused := s.chunkRefused(size, last); refused != nil {
		if _, err := io.CopyN(io.Discard, s.r, int64(size)); err != nil {
			return nil
		}
		return refused
	}
	return s.chunk(int64(size), last)
}

func (s *session) chunkRefused(size uint64, last bool) *reply {
	m := s.manners
	switch {
	case !s.begun:
		return s.say(m.chunkFirst)
	case len(s.to) == 0:
		return s.toNobody("BDAT", m.chunkToNobody)
	case size == 0 && !last && m.chunkEmpty != "":
		return s.say(m.chunkEmpty)
	case int64(len(s.raw))+int64(min(size, 1<<62)) > s.server.cfg.MaxMessageBytes && m.chunkTooLarge != "":
		s.forget()
		return s.say(m.chunkTooLarge)
	}
	return nil
}

func (s *session) chunk(size int64, last bool) *reply {
	if !s.chunked {
		s.chunked, s.fault = true, s.server.script.Next(OpData)
	}
	body := io.LimitReader(s.r, size)
	if s.fault.LoseRequest && (last || int64(len(s.raw))+size >= lostAfter) {
		return s.loseMessage(s.fault, body)
	}
	part := make([]byte, 32<<10)
	for left := size; left > 0; {
		_ = s.nc.SetReadDeadline(time.Now().Add(s.server.cfg.IdleTimeout))
		n, err := body.Read(part)
		s.take(part[:n])
		if left -= int64(n); err != nil && left > 0 {
			return nil
		}
	}
	counts := []string{"{bytes}", strconv.FormatInt(size, 10), "{total}", strconv.FormatInt(int64(len(s.raw)), 10)}
	if !last {
		return s.say(s.manners.chunk, counts...)
	}
	return s.finish(s.fault, s.manners.chunkLast, s.manners.dataTooLarge, counts...)
}
