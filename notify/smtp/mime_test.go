package smtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
)

// Whatever the pieces that a file comes in, its lines are the same, and as long as was told.
func TestBase64Lines(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 2500 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		var out bytes.Buffer
		e := &base64Lines{w: &out}
		for rest := data; len(rest) > 0; {
			piece := 1 + random.IntN(min(len(rest), 1+random.IntN(200)))
			taken, err := e.Write(rest[:piece])
			require.NoError(t, err)
			require.Equal(t, piece, taken)
			rest = rest[piece:]
		}
		require.NoError(t, e.Close())
		require.EqualValues(t, out.Len(), base64Length(int64(n)), n)
		lines := strings.SplitAfter(out.String(), "\r\n")
		require.Empty(t, lines[len(lines)-1])
		for i, line := range lines[:len(lines)-1] {
			require.True(t, len(line) == 78 || i == len(lines)-2 && len(line) < 78, "%d: %q", n, line)
		}
		got, err := base64.StdEncoding.DecodeString(out.String())
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), n)
	}
}

// broken takes so many bytes.
type broken struct{ left int }

var errBroken = errors.New("broken")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// Wherever a connection breaks, rendering ends with its error, and nothing more is read.
func TestRenderingEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	client, err := New(Config{Addr: "mail.example:587", From: "care@clinic.example"})
	require.NoError(t, err)
	msg := notify.Message{Key: "k", To: notify.Recipient{Email: "asha@example.org"}, Content: &notify.Content{
		Subject: "S", Text: "text\n", HTML: "<p>पाठ</p>", Files: []notify.File{
			{Name: "a.bin", ContentType: "application/x-a", Data: make([]byte, 3000)},
			{Name: "b.png", ContentType: "image/png", Data: make([]byte, 100), ContentID: "b"},
		},
	}}
	l, err := client.letter(t.Context(), msg)
	require.NoError(t, err)
	whole := int(l.size) - l.start
	require.NoError(t, l.render(t.Context(), &broken{whole}))
	for n := range whole {
		require.ErrorIs(t, l.render(t.Context(), &broken{n}), errBroken, n)
	}
}

// A message of another length than was told is not sent to its end.
func TestRemainder(t *testing.T) {
	t.Parallel()
	for skip := range 7 {
		var out bytes.Buffer
		r := &remainder{w: &out, skip: skip, left: 6}
		for _, piece := range []string{"a", "bc", "", "def"} {
			n, err := r.Write([]byte(piece))
			require.NoError(t, err)
			require.Len(t, piece, n)
		}
		require.Zero(t, r.left)
		require.Equal(t, "abcdef"[skip:], out.String())
		_, err := r.Write([]byte("g"))
		require.ErrorIs(t, err, errLength)
		require.Equal(t, "abcdef"[skip:], out.String())
	}
}
