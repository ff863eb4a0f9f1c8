package realtime

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
)

const (
	// pidLife is how long a pid is good.
	pidLife = 24 * time.Hour
	// maxSealed is how many bytes the names of a set of rooms may have that travels with
	// each event.
	maxSealed = 1 << 10
	// maxToken is how many bytes of a pid or an offset are looked at.
	maxToken = 8 << 10
)

// What a sealed text is for. One is not taken for the other.
const (
	forPID   = "telemed pid 1"
	forRooms = "telemed rooms 1"
)

// pid is what a client brings back after its connection broke. It holds who the client is
// and where it was when it came first; no process keeps anything of it.
type pid struct {
	ID      string   `json:"id"`
	Expires int64    `json:"exp"` // Unix time
	Subject string   `json:"sub"`
	Rooms   []string `json:"rooms,omitempty"` // that were granted at connect
	At      Position `json:"at"`              // at issue
}

// sealer seals and opens what clients keep for the hub.
type sealer struct{ keys []cipher.AEAD }

func newSealer(p *fault.Problems, keys [][]byte) *sealer {
	if len(keys) == 0 {
		keys = [][]byte{make([]byte, 32)}
		_, _ = rand.Read(keys[0]) // never fails
	}
	s := &sealer{}
	for i, key := range keys {
		field := "RecoveryKeys[" + strconv.Itoa(i) + "]"
		if len(key) != 32 {
			p.Add(field, "does not have 32 bytes")
			continue
		}
		block, err := aes.NewCipher(key)
		p.Check(err == nil, field, "cannot be used")
		aead, err := cipher.NewGCMWithRandomNonce(block)
		p.Check(err == nil, field, "cannot be used")
		s.keys = append(s.keys, aead)
	}
	return s
}

func (s *sealer) seal(what string, value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // our own types can be encoded
	}
	return base64.RawURLEncoding.EncodeToString(s.keys[0].Seal(nil, nil, text, []byte(what)))
}

func (s *sealer) open(what, text string, value any) bool {
	if len(text) > maxToken {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return false
	}
	for _, key := range s.keys {
		if plain, err := key.Open(nil, nil, sealed, []byte(what)); err == nil {
			return json.Unmarshal(plain, value) == nil
		}
	}
	return false
}

// An offset is a position, '~', and the sealed set of all rooms, also if it is empty: who
// has left all rooms is in none when it returns. Nothing behind '~' means that nobody can go
// on from there. The rooms of a pid are good as long as its client has no offset.
const noReturn = "~"

// roomSet is a set of rooms that some connections have in common, so that they share the
// suffix of their offsets, and with it the frames.
type roomSet struct {
	key    string
	suffix string
	users  int
}

func keyOf(rooms []string) string {
	sorted := slices.Clone(rooms)
	slices.Sort(sorted)
	return strings.Join(sorted, "\x00") // no name of a room holds it
}

// suffixLocked returns what stands behind the position in an offset of the connection.
func (c *Conn) suffixLocked() []byte {
	p := c.hub.past
	if p == nil {
		return nil
	}
	key := keyOf(c.rooms)
	if c.set != nil && c.set.key == key {
		return []byte(c.set.suffix)
	}
	c.dropSetLocked()
	set := p.sets[key]
	if set == nil {
		set = &roomSet{key: key}
		if set.suffix = noReturn; len(key) <= maxSealed {
			set.suffix += p.tokens.seal(forRooms, append([]string{}, c.rooms...))
		}
		p.sets[key] = set
	}
	set.users++
	c.set = set
	return []byte(set.suffix)
}

func (c *Conn) dropSetLocked() {
	if c.set == nil {
		return
	}
	if c.set.users--; c.set.users == 0 {
		delete(c.hub.past.sets, c.set.key)
	}
	c.set = nil
}

// openReturn reads what a client brings back: its pid, the rooms it was in and the position
// it was at. What is granted now must have been granted when the pid was issued.
func (s *sealer) openReturn(back Return, subject string, granted []string) (id string, rooms []string, at Position, ok bool) {
	var token pid
	if !s.open(forPID, back.PID, &token) || time.Now().Unix() >= token.Expires || token.Subject != subject {
		return "", nil, "", false
	}
	for _, room := range granted {
		if !slices.Contains(token.Rooms, room) {
			return "", nil, "", false
		}
	}
	if back.Offset == "" {
		return token.ID, token.Rooms, token.At, true
	}
	position, sealed, _ := strings.Cut(back.Offset, "~")
	if !s.open(forRooms, sealed, &rooms) {
		return "", nil, "", false
	}
	return token.ID, rooms, Position(position), validPosition(position)
}

// validPosition says whether a client's text may be asked of a journal.
func validPosition(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '~' })
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
