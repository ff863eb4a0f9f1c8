package smtp

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzReadReply reads whatever a server could send: it ends, keeps to its limits
// and takes nothing but digits and dots for a code.
func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\r\n250 2.1.0 b\r\n", "250\n", "55", "550 5.1.1 x\r\n", "250-\r\n550 x\r\n", "999 x\r\n", strings.Repeat("250-x\r\n", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(input), maxReplyLine))
		if err != nil {
			require.Zero(t, r.code)
			return
		}
		require.GreaterOrEqual(t, r.code, 200)
		require.Less(t, r.code, 600)
		require.True(t, len(r.lines) > 0 || r.code < 400)
		require.LessOrEqual(t, len(r.lines), maxReplyLines)
		require.Empty(t, strings.Trim(r.enhanced, "0123456789."))
		if r.enhanced != "" {
			require.Equal(t, byte('0'+r.code/100), r.enhanced[0])
		}
	})
}
