package redisstream_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/redisstream"
)

// moody is a server that answers XADD, XRANGE and XREAD with text, and hangs up if that is no
// whole line.
func moody(t *testing.T, text string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		DialerRetries: 1, ReadTimeout: 20 * time.Second,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go serveMoody(theirs, text)
			return ours, nil
		},
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func serveMoody(conn net.Conn, text string) {
	defer conn.Close()
	for lines := bufio.NewReader(conn); ; {
		words, err := command(lines)
		if err != nil {
			return
		}
		answer := "+OK\r\n"
		switch words[0] {
		case "hello":
			answer = "-ERR unknown command 'hello'\r\n"
		case "xadd", "xread", "xrange", "exec":
			answer = text
		}
		if _, err := io.WriteString(conn, answer); err != nil || !strings.HasSuffix(answer, "\r\n") {
			return
		}
	}
}

// command reads an array of strings.
func command(lines *bufio.Reader) ([]string, error) {
	number := func() (int, error) {
		line, err := lines.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number()
	words := make([]string, max(n, 1))
	for i := 0; i < n && err == nil; i++ {
		var size int
		if size, err = number(); err != nil {
			break
		}
		text := make([]byte, size+2)
		_, err = io.ReadFull(lines, text)
		words[i] = strings.ToLower(string(text[:size]))
	}
	return words, err
}

// Redis says what it refuses, before it does anything. What is no word of Redis's, or no
// answer, may stand for an entry that was appended.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]error{
		"-LOADING Redis is loading the dataset in memory\r\n":                    telemed.ErrUnavailable,
		"-READONLY You can't write against a read only replica.\r\n":             telemed.ErrUnavailable,
		"-OOM command not allowed when used memory > 'maxmemory'.\r\n":           telemed.ErrUnavailable,
		"-MISCONF Errors writing to the AOF file: No space left on device\r\n":   telemed.ErrUnavailable,
		"-NOREPLICAS Not enough good replicas to write.\r\n":                     telemed.ErrUnavailable,
		"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n": telemed.ErrUnavailable,
		"-NOPERM this user has no permissions\r\n":                               telemed.ErrUnauthorized,
		"-upstream failure\r\n": telemed.ErrAmbiguous,
		"-asha\r\n":             telemed.ErrAmbiguous,
		"$15\r\n17000000":       telemed.ErrAmbiguous,
		"hello asha\r\n":        telemed.ErrAmbiguous,
		"*1\r\n$1\r\nx\r\n":     telemed.ErrAmbiguous,
		"":                      telemed.ErrAmbiguous,
	} {
		t.Run(fmt.Sprintf("%.12q", answer), func(t *testing.T) {
			t.Parallel()
			j, err := redisstream.New(redisstream.Config{Client: moody(t, answer), InsecureClear: true})
			require.NoError(t, err)
			defer func() { require.NoError(t, j.Shutdown(t.Context())) }()
			_, err = j.Append(t.Context(), event("x"))
			for _, is := range []error{telemed.ErrUnavailable, telemed.ErrUnauthorized, telemed.ErrAmbiguous} {
				require.Equal(t, is == want, errorIsOneOf(err, is), "%v", err)
			}
			require.NotContains(t, err.Error(), "asha")
			_, err = j.Since(t.Context(), "1-1", nil, 1)
			require.Error(t, err)
			require.NotErrorIs(t, err, telemed.ErrAmbiguous)
			require.NotContains(t, err.Error(), "asha")

			// Follow waits for better times, and ends when it is told to.
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, j.Follow(ctx, "1-1", func(realtime.Entry) {}), context.DeadlineExceeded)
		})
	}
}
