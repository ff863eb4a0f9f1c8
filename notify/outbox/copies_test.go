package outbox_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/store/durable"
)

// seen are the errors of a row's steps, which Observe was told.
type seen struct {
	mu   sync.Mutex
	errs []error
}

func (s *seen) observe(e durable.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, e.Err)
}

// A copy that is refused is told and noted, and the patient is not mailed again for it. One
// of which the server did not decide is sent with all others, once.
func TestRefusedCopyIsToldAndNobodyIsMailedTwice(t *testing.T) {
	pass := smtptest.Fault{Op: smtptest.OpRcpt}
	for name, c := range map[string]struct {
		fault smtptest.Fault
		left  int // copies that are left out
	}{
		"for now":  {smtptest.Fault{Op: smtptest.OpRcpt, Status: 451, Body: "4.7.1 Greylisted"}, 1},
		"for good": {smtptest.Fault{Op: smtptest.OpRcpt, Status: 550, Body: "5.1.1 User unknown"}, 1},
		"going":    {smtptest.Fault{Op: smtptest.OpRcpt, Status: 421, Body: "4.3.2 Going down"}, 0},
		"cut":      {smtptest.Fault{Op: smtptest.OpRcpt, LoseAnswer: true}, 0},
		"later":    {smtptest.Fault{Op: smtptest.OpData, Status: 451, Body: "4.3.0 Later"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			told := &seen{}
			story(t, func(_ *clinic, cfg *outbox.Config) {
				cfg.Observe = told.observe
				cfg.Compose = func(_ context.Context, m outbox.Message) (notify.Message, error) {
					return notify.Message{To: m.To, Content: m.Content, Mail: &notify.Mail{Cc: []notify.Recipient{{Email: "ravi@example.org"}}}}, nil
				}
			}, func(c2 *clinic) {
				c2.mail.FailNext(pass, c.fault)
				c2.enqueue(message("confirmed", byMail))
				c2.wait(48 * time.Hour)
				c2.is("confirmed", "sent")
				c2.got(0, 1)
				require.Len(t, c2.mail.Messages()[0].Recipients, 2-c.left)
				fields := 0
				for _, err := range told.errs {
					for _, f := range telemed.Fields(err) {
						require.Equal(t, "Mail.Cc[0].Email", f.Field)
						fields++
					}
				}
				require.Equal(t, c.left, fields)
				audit := string(c2.row(group).Audit)
				require.Equal(t, c.left == 1, strings.Contains(audit, "is sent without 1 of its copies"), audit)
				require.NotContains(t, audit, "ravi")
			})
		})
	}
}

// A file that is opened when it is sent cannot be kept in a row, and says so at once.
func TestFileThatIsOpenedIsRefused(t *testing.T) {
	story(t, nil, func(c *clinic) {
		m := message("scan", byMail)
		m.Content.Files = []notify.File{
			{Name: "a.txt", ContentType: "text/plain", Data: []byte("a")},
			{Name: "scan.pdf", ContentType: "application/pdf", Size: 3, Open: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("pdf")), nil
			}},
		}
		err := c.Enqueue(c.Context(), m)
		require.ErrorIs(t, err, telemed.ErrInvalid)
		require.Len(t, telemed.Fields(err), 1)
		require.Equal(t, "Content.Files[1].Open", telemed.Fields(err)[0].Field)
		require.Contains(t, err.Error(), "Config.Compose")
		c.wait(time.Hour)
		c.got(0, 0)
	})
}
