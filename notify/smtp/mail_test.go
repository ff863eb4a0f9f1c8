package smtp_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"mime"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

// ways are how a message may go to a server.
var ways = map[string]func(*smtp.Config){
	"chunks":       func(*smtp.Config) {},
	"data":         func(cfg *smtp.Config) { cfg.DisableChunking = true },
	"step by step": func(cfg *smtp.Config) { cfg.DisableChunking, cfg.DisablePipelining = true, true },
}

func eachWay(t *testing.T, test func(t *testing.T, fake *smtptest.Server, client *smtp.Client)) {
	t.Parallel()
	for name, edit := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, client := pair(t, smtptest.Config{}, edit)
			test(t, fake, client)
		})
	}
}

func withCopies(key string) notify.Message {
	msg := message(key)
	msg.Mail = &notify.Mail{
		Cc:  []notify.Recipient{{Name: "रवि", Email: "ravi@example.org"}, {Email: "ASHA@example.org"}, {Name: "Desk, Ward 2", Email: "desk@bücher.example"}},
		Bcc: []notify.Recipient{{Name: "Zkhidden", Email: "zkhidden@example.net"}, {Email: "ravi@example.org"}},
	}
	return msg
}

func TestCopies(t *testing.T) {
	eachWay(t, func(t *testing.T, fake *smtptest.Server, client *smtp.Client) {
		for i := range 3 {
			receipt, err := client.Notify(t.Context(), withCopies("copies"+strconv.Itoa(i)))
			require.NoError(t, err)
			require.Empty(t, receipt.Refused)
		}
		require.Len(t, fake.Messages(), 3)
		for _, got := range fake.Messages() {
			require.Equal(t, []string{"asha@example.org", "ravi@example.org", "desk@xn--bcher-kva.example", "zkhidden@example.net"}, got.Recipients)
			require.NotContains(t, strings.ToLower(string(got.Raw)), "zkhidden")
			require.NotContains(t, strings.ToLower(string(got.Raw)), "\nbcc:")
			cc, err := got.Header.AddressList("Cc")
			require.NoError(t, err)
			require.Len(t, cc, 3)
			require.Equal(t, "रवि", cc[0].Name)
			require.Equal(t, "Desk, Ward 2", cc[2].Name)
			require.Len(t, got.To, 1)
		}
	})
}

// A copy that is refused is named, and nobody else misses the mail. Without its recipient
// nobody gets it, and the connection carries the next message.
func TestRefusedCopies(t *testing.T) {
	eachWay(t, func(t *testing.T, fake *smtptest.Server, client *smtp.Client) {
		fake.RejectRecipient("ravi@example.org")
		fake.RejectRecipient("zkhidden@example.net")
		for i := range 2 {
			receipt, err := client.Notify(t.Context(), withCopies("refused"+strconv.Itoa(i)))
			require.NoError(t, err)
			require.Len(t, receipt.Refused, 2)
			for j, field := range []string{"Mail.Cc[0].Email", "Mail.Bcc[0].Email"} {
				require.ErrorIs(t, receipt.Refused[j], notify.ErrRecipient)
				require.Equal(t, field, telemed.Fields(receipt.Refused[j])[0].Field)
				require.NotContains(t, receipt.Refused[j].Error(), "example")
			}
			require.Equal(t, []string{"asha@example.org", "desk@xn--bcher-kva.example"}, fake.Messages()[i].Recipients)
		}
		fake.RejectRecipient("asha@example.org")
		_, err := client.Notify(t.Context(), withCopies("nobody"))
		require.ErrorIs(t, err, notify.ErrRecipient)
		next := message("next")
		next.To.Email = "next@example.org"
		_, err = client.Notify(t.Context(), next)
		require.NoError(t, err)
		require.Len(t, fake.Messages(), 3)
		require.Equal(t, []string{"next@example.org"}, fake.Messages()[2].Recipients)
	})
}

func TestOwnHeaders(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) {
		cfg.ReplyTo, cfg.BounceTo, cfg.ReferenceHeader = "all@clinic.example", "bounce@clinic.example", "X-Tag"
	})
	long := "https://clinic.example/unsubscribe/" + strings.Repeat("t", 800)
	msg := message("headers")
	msg.Mail = &notify.Mail{
		ReplyTo: notify.Recipient{Name: "पूछताछ", Email: "desk@clinic.example"}, BounceTo: "bounce+42@clinic.example",
		Unsubscribe: []string{"mailto:stop@clinic.example?subject=stop", long}, OneClick: true,
		Header: map[string]string{
			"X-Word": strings.Repeat("w", 900), "X-Text": "  दो  शब्द =?x?=", "x-json": `{"a": "b\\c"}`, "Feedback-ID": "a:b:c:clinic",
			"AUTO-SUBMITTED": "auto-replied", "X-" + strings.Repeat("n", 38): strings.Repeat("क", 250),
		},
	}
	_, err := client.Notify(t.Context(), msg)
	require.NoError(t, err)
	_, err = client.Notify(t.Context(), message("without"))
	require.NoError(t, err)
	got := fake.Messages()[0]
	require.Equal(t, "bounce+42@clinic.example", got.Sender)
	require.Equal(t, "bounce@clinic.example", fake.Messages()[1].Sender)
	require.Equal(t, "all@clinic.example", fake.Messages()[1].Header.Get("Reply-To"))
	reply, err := got.Header.AddressList("Reply-To")
	require.NoError(t, err)
	require.Equal(t, "पूछताछ", reply[0].Name)
	require.Equal(t, "<mailto:stop@clinic.example?subject=stop>, <"+long+">", got.Header.Get("List-Unsubscribe"))
	require.Equal(t, "List-Unsubscribe=One-Click", got.Header.Get("List-Unsubscribe-Post"))
	require.Equal(t, []string{"auto-replied"}, got.Header["Auto-Submitted"])
	require.Equal(t, `{"a": "b\\c"}`, got.Header.Get("X-Json"))
	require.Equal(t, "a:b:c:clinic", got.Header.Get("Feedback-Id"))
	require.Equal(t, msg.Mail.Header["X-Word"], got.Header.Get("X-Word"))
	for _, name := range []string{"X-Text", "X-" + strings.Repeat("n", 38)} {
		require.Equal(t, msg.Mail.Header[name], decoded(t, got.Header.Get(name)))
	}
	head, _, _ := strings.Cut(string(got.Raw), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		require.True(t, !strings.Contains(line, "=?UTF-8") || len(line) <= 76, line)
		require.LessOrEqual(t, len(line), 998)
	}
	msg.Mail.Header = map[string]string{"x-tag": "mine"}
	_, err = client.Notify(t.Context(), msg)
	require.Equal(t, "Mail.Header[x-tag]", telemed.Fields(err)[0].Field)
}

func TestInlineImage(t *testing.T) {
	t.Parallel()
	fake, client := pair(t, smtptest.Config{}, nil)
	msg := message("inline")
	msg.Content.HTML = `<p><img src="cid:logo@clinic"></p>`
	msg.Content.Files = []notify.File{
		{Name: "logo.png", ContentType: "image/png", Data: []byte("png"), ContentID: "logo@clinic"},
		{Name: "scan.pdf", ContentType: "application/pdf", Data: []byte("pdf")},
	}
	_, err := client.Notify(t.Context(), msg)
	require.NoError(t, err)
	raw := string(fake.Messages()[0].Raw)
	require.Contains(t, raw, "Content-ID: <logo@clinic>\r\n")
	require.Contains(t, raw, "Content-Disposition: inline; filename=logo.png\r\n")
	require.Less(t, strings.Index(raw, "multipart/mixed"), strings.Index(raw, "multipart/related"))
	require.Equal(t, msg.Content.HTML, fake.Messages()[0].HTML)
	require.Len(t, fake.Messages()[0].Files, 2)
}

// source is a file of so many bytes that are read, and fails at its end if err is set.
type source struct {
	size   int
	err    error
	opened atomic.Int64
	closed atomic.Int64
}

func (s *source) open() (io.ReadCloser, error) {
	s.opened.Add(1)
	r := io.Reader(strings.NewReader(strings.Repeat("0123456789", s.size/10+1)[:s.size]))
	if s.err != nil {
		r = io.MultiReader(r, failingReader{s.err})
	}
	return &sourceReader{r, s}, nil
}

type sourceReader struct {
	io.Reader
	s *source
}

func (r *sourceReader) Close() error { r.s.closed.Add(1); return nil }

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func opened(key string, s *source, size int64) notify.Message {
	msg := message(key)
	msg.Content.Files = []notify.File{{Name: "scan.pdf", ContentType: "application/pdf", Open: s.open, Size: size}}
	return msg
}

func TestFileIsOpenedWhenItIsSent(t *testing.T) {
	eachWay(t, func(t *testing.T, fake *smtptest.Server, client *smtp.Client) {
		for i, size := range []int{0, 1, 2, 3, 56, 57, 58, 114, 115, 8191, 8192, 8193, 100_000, 1 << 20} {
			s := &source{size: size}
			msg := opened("size"+strconv.Itoa(size), s, int64(size))
			require.Zero(t, s.opened.Load())
			_, err := client.Notify(t.Context(), msg)
			require.NoError(t, err, size)
			require.EqualValues(t, 1, s.opened.Load())
			require.EqualValues(t, 1, s.closed.Load())
			data := fake.Messages()[i].Files[0].Data
			require.Len(t, data, size)
			require.Equal(t, strings.Repeat("0123456789", size/10+1)[:size], string(data))
		}
	})
}

// A file that is not what it said, or cannot be read, never makes a mail, be it one byte
// that is wrong; the next message goes out, and the same one with the right file.
func TestNoHalfFile(t *testing.T) {
	boom := errors.New("zksecret: /patients/asha.pdf")
	eachWay(t, func(t *testing.T, fake *smtptest.Server, client *smtp.Client) {
		for name, c := range map[string]struct {
			msg  notify.Message
			want error
		}{
			"short":       {opened("k", &source{size: 999}, 1000), telemed.ErrInvalid},
			"empty":       {opened("k", &source{size: 0}, 1), telemed.ErrInvalid},
			"long":        {opened("k", &source{size: 1001}, 1000), telemed.ErrInvalid},
			"not empty":   {opened("k", &source{size: 1}, 0), telemed.ErrInvalid},
			"long, large": {opened("k", &source{size: 1<<20 + 1}, 1<<20), telemed.ErrInvalid},
			"fails":       {opened("k", &source{size: 500_000, err: boom}, 1<<20), telemed.ErrUnavailable},
			"cut off":     {opened("k", &source{size: 999, err: io.ErrUnexpectedEOF}, 1000), telemed.ErrUnavailable},
			"at its end":  {opened("k", &source{size: 1000, err: boom}, 1000), telemed.ErrUnavailable},
			"not there":   {openedBy(func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }), telemed.ErrUnavailable},
			"nothing":     {openedBy(func() (io.ReadCloser, error) { return nil, nil }), telemed.ErrUnavailable},
			"panics":      {openedBy(func() (io.ReadCloser, error) { panic("zksecret") }), telemed.ErrUnavailable},
		} {
			_, err := client.Notify(t.Context(), c.msg)
			require.ErrorIs(t, err, c.want, name)
			require.NotErrorIs(t, err, telemed.ErrAmbiguous, name)
			require.NotContains(t, err.Error(), "zksecret")
			if c.want == telemed.ErrInvalid {
				require.Equal(t, "Content.Files[0].Size", telemed.Fields(err)[0].Field, name)
			}
			require.Empty(t, fake.Messages(), name)
		}
		_, err := client.Notify(t.Context(), message("next"))
		require.NoError(t, err)
		s := &source{size: 1000}
		fake.FailNext(outOfOrder)
		_, err = notify.Retry(client, notify.RetryPolicy{Base: 1}).Notify(t.Context(), opened("again", s, 1000))
		require.NoError(t, err)
		fake.FailNext(smtptest.Fault{Op: smtptest.OpData, Status: 451, Body: "4.3.0 later"})
		_, err = notify.Retry(client, notify.RetryPolicy{Base: 1}).Notify(t.Context(), opened("third", s, 1000))
		require.NoError(t, err)
		require.Equal(t, s.opened.Load(), s.closed.Load())
		require.GreaterOrEqual(t, s.opened.Load(), int64(3), "a repetition opens it again")
		require.Len(t, fake.Messages(), 3)
	})
}

func openedBy(open func() (io.ReadCloser, error)) notify.Message {
	msg := message("k")
	msg.Content.Files = []notify.File{{Name: "a.pdf", ContentType: "application/pdf", Open: open, Size: 10}}
	return msg
}

// SIZE is told from File.Size, and a server that takes less is asked for nothing.
func TestSizeOfAFileThatIsOpened(t *testing.T) {
	t.Parallel()
	server := startRaw(t, func(s *rawServer) { s.extensions = []string{"SIZE 100000"} })
	client := newClient(t, server.addr(), plaintext)
	s := &source{size: 80_000}
	_, err := client.Notify(context.Background(), opened("large", s, 80_000))
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Zero(t, s.opened.Load())
}

func decoded(t *testing.T, value string) string {
	t.Helper()
	text, err := new(mime.WordDecoder).DecodeHeader(value)
	require.NoError(t, err)
	return text
}

// idle is a reader that has nothing to say, time after time, and ends the caller's patience
// at its third.
type idle struct {
	reads int
	each  func(reads int)
	byte  bool // it says one byte each time
}

func (r *idle) Read(p []byte) (int, error) {
	r.reads++
	r.each(r.reads)
	if r.byte {
		p[0] = 'x'
		return 1, nil
	}
	return 0, nil
}

// A reader that never gets on is left, and so is one that gets on slowly when the caller
// ends: not only when so much has come that it is written.
func TestReaderThatDoesNotGetOn(t *testing.T) {
	t.Parallel()
	for name, sign := range map[string]func(io.Reader) (string, error){"unsigned": nil, "signed": (&signer{}).sign} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, client := pair(t, smtptest.Config{}, func(cfg *smtp.Config) { cfg.Sign = sign })
			stuck := &idle{each: func(reads int) {
				if reads > 10_000 {
					panic("it is asked without end")
				}
			}}
			_, err := client.Notify(t.Context(), openedBy(func() (io.ReadCloser, error) { return io.NopCloser(stuck), nil }))
			require.ErrorIs(t, err, telemed.ErrUnavailable)
			require.Less(t, stuck.reads, 1000)

			ctx, cancel := context.WithCancel(t.Context())
			slow := &idle{byte: true, each: func(reads int) {
				if reads == 3 {
					cancel()
				}
			}}
			msg := openedBy(func() (io.ReadCloser, error) { return io.NopCloser(slow), nil })
			msg.Content.Files[0].Size = 8000
			_, err = client.Notify(ctx, msg)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, telemed.ErrUnavailable)
			require.Equal(t, 3, slow.reads)
			require.Empty(t, fake.Messages())
		})
	}
}

// A file that panics, where it is opened, read or closed, is named as a file that cannot be
// read, and is closed.
func TestFileThatPanics(t *testing.T) {
	eachWay(t, func(t *testing.T, fake *smtptest.Server, client *smtp.Client) {
		for _, at := range []string{"open", "read", "close"} {
			s := &source{size: 10}
			_, err := client.Notify(t.Context(), openedBy(func() (io.ReadCloser, error) {
				if at == "open" {
					panic("zksecret")
				}
				r, err := s.open()
				return panicking{r, at}, err
			}))
			require.ErrorIs(t, err, telemed.ErrUnavailable, at)
			require.ErrorContains(t, err, "a file could not be read", at)
			require.NotContains(t, err.Error(), "zksecret")
			require.Equal(t, s.opened.Load(), s.closed.Load(), at)
			require.Empty(t, fake.Messages())
		}
	})
}

type panicking struct {
	io.ReadCloser
	at string
}

func (p panicking) Read(b []byte) (int, error) {
	if p.at == "read" {
		panic("zksecret")
	}
	return p.ReadCloser.Read(b)
}

func (p panicking) Close() error {
	_ = p.ReadCloser.Close()
	if p.at == "close" {
		panic("zksecret")
	}
	return nil
}

// A goroutine that ends inside of File.Open, as a test's does at its first failure, takes no
// connection with it.
func TestGoroutineThatEndsInOpen(t *testing.T) {
	eachWay(t, func(t *testing.T, fake *smtptest.Server, client *smtp.Client) {
		for range 5 { // more than MaxConns
			var ends sync.WaitGroup
			ends.Go(func() {
				_, _ = client.Notify(t.Context(), openedBy(func() (io.ReadCloser, error) { runtime.Goexit(); return nil, nil }))
			})
			ends.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := client.Notify(ctx, message("next"))
		require.NoError(t, err)
		require.Len(t, fake.Messages(), 1)
	})
}
