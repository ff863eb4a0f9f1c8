package engineio

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

// Messages of every length around the buffer's come out whole, however the bytes come in.
func TestFramesAroundTheBuffer(t *testing.T) {
	t.Parallel()
	const longest = 4 * readSize
	var wire bytes.Buffer
	for n := range longest {
		frame := ws.NewTextFrame([]byte(strings.Repeat(string(rune('a'+n%26)), n)))
		require.NoError(t, ws.WriteFrame(&wire, ws.MaskFrameInPlaceWith(frame, [4]byte{1, 2, 3, byte(n)})))
	}
	for name, how := range map[string]func(io.Reader) io.Reader{
		"many at once": func(r io.Reader) io.Reader { return r },
		"half":         iotest.HalfReader,
		"one byte":     iotest.OneByteReader,
		"with the end": iotest.DataErrReader,
	} {
		frames := frameReader{in: smallReader{from: how(bytes.NewReader(wire.Bytes()))}, limit: longest}
		for n := range longest {
			frames.in.wait()
			op, message, err := frames.next()
			require.NoError(t, err, name)
			require.Equal(t, ws.OpText, op)
			require.Equal(t, strings.Repeat(string(rune('a'+n%26)), n), string(message), name)
		}
		frames.in.wait()
		require.Zero(t, frames.in.buffered())
		_, _, err := frames.next()
		require.ErrorIs(t, err, io.EOF, name)
	}
}
