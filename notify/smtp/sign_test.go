package smtp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// signer keeps what it was given to sign.
type signer struct{ read [][]byte }

func (s *signer) sign(message io.Reader) (string, error) {
	raw, err := io.ReadAll(message)
	s.read = append(s.read, raw)
	return "X-Signature: " + strings.Repeat("s", 60) + "\r\n\tand more\r\n", err
}

// What is signed is what arrives, byte by byte, behind the signature: also a message that is
// rendered again when it is sent, with parts in parts, and files that are opened.
func TestWhatIsSignedIsWhatArrives(t *testing.T) {
	t.Parallel()
	for name, edit := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &signer{}
			fake, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) { edit(cfg); cfg.Sign = s.sign })
			for _, size := range []int{0, 1000, 46 << 10, 47 << 10, 48 << 10, 1 << 20} {
				file := &source{size: size}
				msg := opened("signed", file, int64(size))
				msg.Content.Files = append(msg.Content.Files,
					notify.File{Name: "logo.png", ContentType: "image/png", Data: []byte("png"), ContentID: "logo"},
					notify.File{Name: "a.bin", ContentType: `application/x; boundary="0123456789"`, Data: make([]byte, 100)})
				msg.Content.HTML = `<img src="cid:logo"> boundary=` + strings.Repeat("0", 60)
				_, err := client.Notify(t.Context(), msg)
				require.NoError(t, err)
				long := message("long text")
				long.Content.HTML, long.Content.Text = "", strings.Repeat(" boundary=0\n", size/12+1)
				_, err = client.Notify(t.Context(), long)
				require.NoError(t, err)
				require.Equal(t, file.opened.Load(), file.closed.Load())
			}
			require.Len(t, s.read, 12)
			for i, got := range fake.Messages() {
				_, raw, ok := bytes.Cut(got.Raw, []byte("\tand more\r\n"))
				require.True(t, ok)
				require.True(t, bytes.Equal(s.read[i], raw), i)
			}
		})
	}
}

// A message that cannot be signed, or would not be what was signed, is not sent.
func TestNothingUnsignedIsSent(t *testing.T) {
	t.Parallel()
	boom := errors.New("zksecret")
	reads := func(fields string, err error) func(io.Reader) (string, error) {
		return func(r io.Reader) (string, error) {
			_, _ = io.Copy(io.Discard, r)
			return fields, err
		}
	}
	short := func() notify.Message { return message("k") }
	large := func() notify.Message { return opened("k", &source{size: 1 << 20}, 1<<20) }
	for name, c := range map[string]struct {
		sign  func(io.Reader) (string, error)
		msg   func() notify.Message
		want  error
		field string
	}{
		"an error":          {reads("", boom), short, telemed.ErrUnavailable, ""},
		"at once":           {func(io.Reader) (string, error) { return "", boom }, large, telemed.ErrUnavailable, ""},
		"a final error":     {reads("", fmt.Errorf("%w: zksecret", telemed.ErrForbidden)), short, telemed.ErrInvalid, ""},
		"a panic":           {func(io.Reader) (string, error) { panic("zksecret") }, large, telemed.ErrInvalid, ""},
		"no fields":         {reads("", nil), short, telemed.ErrInvalid, ""},
		"no line end":       {reads("DKIM-Signature: a", nil), short, telemed.ErrInvalid, ""},
		"the end":           {reads("A: b\r\n\r\nx\r\n", nil), short, telemed.ErrInvalid, ""},
		"begins by the end": {reads("\r\nA: b\r\n", nil), short, telemed.ErrInvalid, ""},
		"a bare line feed":  {reads("A: b\nC: d\r\n", nil), short, telemed.ErrInvalid, ""},
		"no header":         {reads("RCPT TO:<x@y.example>\r\n.\r\n", nil), short, telemed.ErrInvalid, ""},
		"another file": {reads("A: b\r\n", nil), func() notify.Message {
			var times atomic.Int64
			return openedBy(func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(strings.Repeat(string('a'+rune(times.Add(1))), 10))), nil
			})
		}, telemed.ErrInvalid, "Content.Files[0].Open"},
		"a short file":     {reads("A: b\r\n", nil), func() notify.Message { return opened("k", &source{size: 9}, 10) }, telemed.ErrInvalid, "Content.Files[0].Size"},
		"a file that ends": {reads("A: b\r\n", nil), func() notify.Message { return opened("k", &source{size: 1 << 19, err: boom}, 1<<20) }, telemed.ErrUnavailable, ""},
		"a file's panic":   {reads("A: b\r\n", nil), func() notify.Message { return openedBy(func() (io.ReadCloser, error) { panic("zksecret") }) }, telemed.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) { cfg.Sign = c.sign })
			msg := c.msg()
			if name == "another file" { // too long to be kept from the first time
				msg.Content.Text = strings.Repeat("See you.\n", 10_000)
			}
			_, err := client.Notify(t.Context(), msg)
			require.ErrorIs(t, err, c.want)
			require.NotErrorIs(t, err, telemed.ErrAmbiguous)
			require.NotContains(t, err.Error(), "zksecret")
			require.Empty(t, fake.Messages())
			if c.field != "" {
				require.Equal(t, c.field, telemed.Fields(err)[0].Field)
			}
		})
	}
}

// A file that does not end is left when the caller does.
func TestSigningEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	s := &signer{}
	_, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) { cfg.Sign = s.sign })
	ctx, cancel := context.WithCancel(t.Context())
	msg := openedBy(func() (io.ReadCloser, error) { cancel(); return io.NopCloser(endless{}), nil })
	msg.Content.Files[0].Size = 1 << 40
	_, err := client.Notify(ctx, msg)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, telemed.ErrUnavailable)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A long message is not held for its signature.
func TestSignedMessageIsNotHeld(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	client, _ := sunk(t, &sink{extensions: "250-sink\r\n250-PIPELINING\r\n250 CHUNKING\r\n"}, false, func(cfg *smtp.Config) {
		cfg.Sign = func(r io.Reader) (string, error) { _, err := io.Copy(io.Discard, r); return "A: b\r\n", err }
	})
	msg := withScan(5 << 20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Notify(context.Background(), msg)
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}
