package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
)

// reply is what a server says: its code, and its lines unless it is a plain yes. A refusal
// has its enhanced code too, if it says one. The lines are looked at for EHLO, for the
// challenge of a 334, and for limits on the sender. They are kept nowhere.
type reply struct {
	code     int
	enhanced string
	lines    []string
}

// class reports whether the enhanced code's subject is n, as "7" in 5.7.1.
func (r reply) class(n string) bool {
	return len(r.enhanced) > 2 && strings.HasPrefix(r.enhanced[2:], n+".")
}

// is reports whether the enhanced code ends in rest, as "7.1" in 5.7.1.
func (r reply) is(rest string) bool { return len(r.enhanced) > 2 && r.enhanced[2:] == rest }

// The limits of a reply. RFC 5321 allows 512 octets a line; some servers take more.
const (
	maxReplyLine  = 4096
	maxReplyLines = 128
)

// errReply is what every malformed reply gives; its text holds nothing of the reply.
var errReply = errors.New("the server's answer is not SMTP")

// readReply reads one reply of any number of lines. Nothing that a server sends
// makes it read without end or keep more than its limits.
func readReply(r *bufio.Reader) (reply, error) {
	var answer reply
	for range maxReplyLines {
		line, err := r.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				return reply{}, errReply
			}
			return reply{}, err
		}
		code, text, more, ok := parseLine(bytes.TrimRight(line, "\r\n"))
		if !ok || (answer.code != 0 && code != answer.code) {
			return reply{}, errReply
		}
		answer.code = code
		if more || code == 334 || code >= 400 || len(answer.lines) > 0 {
			answer.lines = append(answer.lines, string(text))
		}
		if !more {
			if code >= 400 {
				answer.enhanced = enhancedCode(code, string(text))
			}
			return answer, nil
		}
	}
	return reply{}, errReply
}

// parseLine reads "250-text" or "250 text" or "250".
func parseLine(line []byte) (code int, text []byte, more, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, nil, false, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, nil, false, true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, nil, false, false
	}
	return code, line[4:], line[3] == '-', true
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// enhancedCode returns the "5.1.1" that text begins with, if it is one and fits
// code. It is digits and dots, so nothing of the prose comes with it.
func enhancedCode(code int, text string) string {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || int(parts[0][0]-'0') != code/100 {
		return ""
	}
	for _, part := range parts {
		if len(part) < 1 || len(part) > 3 || strings.Trim(part, "0123456789") != "" {
			return ""
		}
	}
	return word
}
