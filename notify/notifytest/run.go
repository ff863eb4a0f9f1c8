package notifytest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// Harness is a Notifier under test with the provider that it talks to.
type Harness struct {
	// Notifier is what is tested. Required.
	Notifier notify.Notifier
	// Channel is its channel. Required.
	Channel notify.Channel
	// Content is words that the channel takes. Required.
	Content *notify.Content
	// Accepted returns how many messages the provider took since the harness was made.
	// Required.
	Accepted func() int
	// Fail makes the provider answer the next message so that the Notifier must
	// give an error that matches kind, one of the sentinels of package notify. It
	// returns false if this provider has no such answer. Nil: none can be made to fail.
	Fail func(kind error) bool
	// Hang makes the provider take the next message, or its connection, and never
	// answer. Nil: it cannot.
	Hang func()
}

// marks are what no error may hold.
const (
	markName  = "Zkmark Patient"
	markEmail = "zkmark.patient@example.org"
	markPhone = "+919876500042"
)

func (h Harness) message(key string) notify.Message {
	return notify.Message{
		Key:     key,
		To:      notify.Recipient{Name: markName, Email: markEmail, Phone: markPhone, Locale: "en"},
		Content: h.Content,
	}
}

// Run checks that a Notifier keeps every clause of the contract written at
// notify.Notifier. open is called once for each subtest.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, Harness){
		"accepted":  testAccepted,
		"invalid":   testInvalid,
		"unchanged": testUnchanged,
		"cancelled": testCancelled,
		"hanging until the deadline": func(t *testing.T, h Harness) {
			testHanging(t, h, context.DeadlineExceeded, func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, patience)
			})
		},
		"hanging until cancelled": func(t *testing.T, h Harness) {
			testHanging(t, h, context.Canceled, func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(patience, cancel)
				return ctx, cancel
			})
		},
		"concurrent":   testConcurrent,
		"failing":      testFailing,
		"failing once": testRecovers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func testAccepted(t *testing.T, h Harness) {
	before := time.Now()
	receipt, err := h.Notifier.Notify(t.Context(), h.message("conformance/accepted"))
	if err != nil {
		t.Fatalf("Notify: %v", err)
	}
	if receipt == nil {
		t.Fatal("the receipt is nil although the error is")
	}
	if receipt.Channel != h.Channel || receipt.ID == "" {
		t.Errorf("receipt has channel %q and id %q, want %q and some id", receipt.Channel, receipt.ID, h.Channel)
	}
	if receipt.At.Before(before.Add(-time.Second)) || receipt.At.After(time.Now().Add(time.Second)) {
		t.Errorf("receipt is of %v, want between %v and now", receipt.At, before)
	}
	if got := h.Accepted(); got != 1 {
		t.Errorf("the provider took %d messages, want 1", got)
	}
}

func testInvalid(t *testing.T, h Harness) {
	address := "To.Email"
	if h.Channel == notify.WhatsApp {
		address = "To.Phone"
	}
	for name, c := range map[string]struct {
		field string
		spoil func(*notify.Message)
	}{
		"no key":          {"Key", func(m *notify.Message) { m.Key = "" }},
		"no address":      {address, func(m *notify.Message) { m.To.Email, m.To.Phone = "", "" }},
		"broken address":  {address, func(m *notify.Message) { m.To.Email, m.To.Phone = markEmail+"\r\nBcc: x@y.example", markPhone+"x" }},
		"nothing to say":  {"Template", func(m *notify.Message) { m.Content = nil }},
		"empty content":   {"Content", func(m *notify.Message) { m.Content = &notify.Content{} }},
		"two-line name":   {"To.Name", func(m *notify.Message) { m.To.Name = markName + "\r\nX-Evil: 1" }},
		"all at once":     {"Key", func(m *notify.Message) { *m = notify.Message{} }},
		"all at once too": {address, func(m *notify.Message) { *m = notify.Message{} }},
	} {
		t.Run(name, func(t *testing.T) {
			msg := h.message("conformance/invalid")
			c.spoil(&msg)
			receipt, err := h.Notifier.Notify(t.Context(), msg)
			if !errors.Is(err, telemed.ErrInvalid) || receipt != nil {
				t.Fatalf("got receipt %v and error %v, want none and telemed.ErrInvalid", receipt, err)
			}
			if !names(err, c.field) {
				t.Errorf("no FieldError in %q names %s", err, c.field)
			}
			h.quiet(t, err)
			if got := h.Accepted(); got != 0 {
				t.Errorf("the provider took %d messages, want 0", got)
			}
		})
	}
}

func names(err error, field string) bool {
	for _, e := range telemed.Fields(err) {
		if e.Field == field || strings.HasPrefix(e.Field, field+".") {
			return true
		}
	}
	return false
}

func testUnchanged(t *testing.T, h Harness) {
	msg, want := h.message("conformance/unchanged"), h.message("conformance/unchanged")
	content := clone(h.Content)
	if _, err := h.Notifier.Notify(t.Context(), msg); err != nil {
		t.Fatalf("Notify: %v", err)
	}
	if !reflect.DeepEqual(msg, want) || !reflect.DeepEqual(h.Content, content) {
		t.Error("Notify changed the message")
	}
}

func clone(c *notify.Content) *notify.Content {
	copied := *c
	copied.Files = append([]notify.File(nil), c.Files...)
	for i := range copied.Files {
		copied.Files[i].Data = append([]byte(nil), c.Files[i].Data...)
	}
	if c.WhatsApp != nil {
		inner := *c.WhatsApp
		inner.Body = append([]string(nil), inner.Body...)
		copied.WhatsApp = &inner
	}
	return &copied
}

func testCancelled(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	receipt, err := h.Notifier.Notify(ctx, h.message("conformance/cancelled"))
	if !errors.Is(err, context.Canceled) || receipt != nil {
		t.Errorf("got receipt %v and error %v, want none and context.Canceled", receipt, err)
	}
	if errors.Is(err, telemed.ErrAmbiguous) {
		t.Errorf("got %v, which says that the message may have been sent", err)
	}
	if got := h.Accepted(); got != 0 {
		t.Errorf("the provider took %d messages, want 0", got)
	}
}

const (
	// patience is how long a call waits for a provider that hangs.
	patience = 200 * time.Millisecond
	// late is how much longer than its context a call may take; generous, for busy machines.
	late = 3 * time.Second
)

func testHanging(t *testing.T, h Harness, want error, limit func(context.Context) (context.Context, context.CancelFunc)) {
	if h.Hang == nil {
		t.Skip("this harness cannot hang")
	}
	h.Hang()
	ctx, cancel := limit(t.Context())
	defer cancel()
	began := time.Now()
	receipt, err := h.Notifier.Notify(ctx, h.message("conformance/hanging"))
	if took := time.Since(began); took > patience+late {
		t.Errorf("Notify returned after %v, want %v", took, patience)
	}
	if err == nil || receipt != nil {
		t.Fatalf("got receipt %v and error %v, want none and some error", receipt, err)
	}
	if !errors.Is(err, want) {
		t.Errorf("got %v, want an error that matches %v", err, want)
	}
	h.quiet(t, err)
}

func testConcurrent(t *testing.T, h Harness) {
	const n = 16
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		ids = map[string]bool{}
	)
	for i := range n {
		wg.Go(func() {
			receipt, err := h.Notifier.Notify(t.Context(), h.message("conformance/concurrent/"+strconv.Itoa(i)))
			if err != nil {
				t.Errorf("Notify: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[receipt.ID] = true
		})
	}
	wg.Wait()
	if len(ids) != n || h.Accepted() != n {
		t.Errorf("%d different ids, %d messages taken; want %d of both", len(ids), h.Accepted(), n)
	}
}

// kinds are the sentinels that a provider's answer may lead to.
var kinds = map[string]error{
	"unauthorized": telemed.ErrUnauthorized,
	"forbidden":    telemed.ErrForbidden,
	"rate limited": telemed.ErrRateLimited,
	"unavailable":  telemed.ErrUnavailable,
	"ambiguous":    telemed.ErrAmbiguous,
	"recipient":    notify.ErrRecipient,
}

func testFailing(t *testing.T, h Harness) {
	if h.Fail == nil {
		t.Skip("this harness cannot fail")
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			before := h.Accepted()
			if !h.Fail(kind) {
				t.Skipf("this provider has no answer that means %q", kind)
			}
			receipt, err := h.Notifier.Notify(t.Context(), h.message("conformance/failing/"+name))
			if !errors.Is(err, kind) || receipt != nil {
				t.Fatalf("got receipt %v and error %v, want none and %q", receipt, err, kind)
			}
			for other, sentinel := range kinds {
				if other != name && errors.Is(err, sentinel) {
					t.Errorf("%q matches %q too: a caller cannot tell what to do", err, sentinel)
				}
			}
			h.quiet(t, err)
			limit := 0
			if errors.Is(kind, telemed.ErrAmbiguous) {
				limit = 1
			}
			if got := h.Accepted() - before; got > limit {
				t.Errorf("the provider took %d messages, want %d at most", got, limit)
			}
		})
	}
}

func testRecovers(t *testing.T, h Harness) {
	if h.Fail == nil || !h.Fail(notify.ErrRecipient) {
		t.Skip("this harness cannot refuse a recipient")
	}
	if _, err := h.Notifier.Notify(t.Context(), h.message("conformance/refused")); !errors.Is(err, notify.ErrRecipient) {
		t.Fatalf("got %v, want notify.ErrRecipient", err)
	}
	if _, err := h.Notifier.Notify(t.Context(), h.message("conformance/next")); err != nil {
		t.Errorf("the message after a refused one fails: %v", err)
	}
	if got := h.Accepted(); got != 1 {
		t.Errorf("the provider took %d messages, want 1", got)
	}
}

// quiet checks that an error gives nothing of the patient and of the message away.
func (h Harness) quiet(t *testing.T, err error) {
	t.Helper()
	text := strings.ToLower(err.Error())
	for _, mark := range append(h.words(), "zkmark", markPhone, strings.TrimPrefix(markPhone, "+")) {
		if strings.Contains(text, strings.ToLower(mark)) {
			t.Errorf("the error %q holds %q, which is the patient's", err, mark)
		}
	}
}

// words returns the texts of the content, without those so short that they may stand in
// any error.
func (h Harness) words() []string {
	all := []string{h.Content.Subject, h.Content.Text, h.Content.HTML}
	if h.Content.WhatsApp != nil {
		all = append(all, h.Content.WhatsApp.Body...)
	}
	return slices.DeleteFunc(all, func(text string) bool { return len(text) < 8 })
}
