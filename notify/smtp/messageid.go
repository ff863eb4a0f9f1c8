package smtp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"hash"
	"strconv"
	"strings"
	"sync"

	"github.com/telemed-go/telemed/notify"
)

// messageIDs makes the Message-ID of a message.
type messageIDs struct {
	domain string    // of the sender, as every server takes it
	macs   sync.Pool // of hash.Hash, keyed with the domain: a new one costs more than its use
}

func newMessageIDs(from string) *messageIDs {
	domain := from[strings.LastIndexByte(from, '@')+1:]
	return &messageIDs{domain: asciiDomain(domain), macs: sync.Pool{New: func() any {
		return hmac.New(sha256.New, []byte(strings.ToLower(domain)))
	}}}
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// of is the same for the same notification to the same address, however often it is sent: a
// mailbox that gets it twice can tell. The key itself does not show.
func (ids *messageIDs) of(msg notify.Message) string {
	mac := ids.macs.Get().(hash.Hash)
	defer ids.macs.Put(mac)
	mac.Reset()
	var scratch [256]byte
	b := append(strconv.AppendInt(scratch[:0], int64(len(msg.Key)), 10), ':')
	b = append(append(b, msg.Key...), strings.ToLower(msg.To.Email)...)
	_, _ = mac.Write(b) // it has no error
	return "<" + lowerBase32.EncodeToString(mac.Sum(scratch[:0])[:20]) + "@" + ids.domain + ">"
}
