package notifytest_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/suitetest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/notifytest"
)

// broken are notifiers with one fault each, and the clause that must find it.
var broken = map[string]struct {
	clause string
	fault  fault
}{
	"forgets the receipt":         {"accepted", fault{receipt: func(*notify.Receipt) *notify.Receipt { return nil }}},
	"says another channel":        {"accepted", fault{receipt: func(r *notify.Receipt) *notify.Receipt { r.Channel = notify.WhatsApp; return r }}},
	"sends twice":                 {"accepted", fault{copies: 2}},
	"checks nothing":              {"invalid", fault{anything: true}},
	"changes the words":           {"unchanged", fault{edits: true}},
	"does not ask the context":    {"cancelled", fault{deaf: true}},
	"is not sure of nothing":      {"cancelled", fault{unsure: true}},
	"ignores the deadline":        {"hanging until the deadline", fault{deaf: true}},
	"obeys the deadline alone":    {"hanging until cancelled", fault{deadlineOnly: true}},
	"gives one id to all":         {"concurrent", fault{receipt: func(r *notify.Receipt) *notify.Receipt { r.ID = "1"; return r }}},
	"has one error for all":       {"failing", fault{fails: func(error, notify.Message) error { return telemed.ErrUnavailable }}},
	"has two kinds in one":        {"failing", fault{fails: func(err error, _ notify.Message) error { return errors.Join(err, telemed.ErrUnavailable) }}},
	"quotes the address":          {"failing", fault{fails: func(err error, m notify.Message) error { return fmt.Errorf("to %s: %w", m.To.Email, err) }}},
	"quotes the words":            {"failing", fault{fails: func(err error, m notify.Message) error { return fmt.Errorf("%q: %w", m.Content.Subject, err) }}},
	"repeats what is ambiguous":   {"failing", fault{repeats: true}},
	"is stuck after a refusal":    {"failing once", fault{stuck: true}},
	"hides that the context ends": {"hanging until cancelled", fault{hung: errors.New("no answer")}},
}

// fault is what a channel does wrong. The zero value is nothing.
type fault struct {
	receipt      func(*notify.Receipt) *notify.Receipt
	fails        func(error, notify.Message) error
	copies       int
	anything     bool // takes any message
	edits        bool // changes the message
	deaf         bool // to its context
	unsure       bool // whether it sent what it did not
	deadlineOnly bool
	repeats      bool // after ErrAmbiguous
	stuck        bool // refuses on for ever
	hung         error
}

// channel is a Notifier and its provider.
type channel struct {
	fault

	mu       sync.Mutex
	accepted int
	next     error
	hang     bool
}

func (c *channel) Notify(ctx context.Context, msg notify.Message) (*notify.Receipt, error) {
	if c.unsure && ctx.Err() != nil {
		return nil, errors.Join(telemed.ErrAmbiguous, ctx.Err())
	}
	if !c.deaf && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := msg.Validate(notify.Email); err != nil && !c.anything {
		return nil, err
	}
	if c.edits {
		msg.Content.Text += "\n-- \nThe clinic"
	}
	if c.hangs() {
		return nil, c.wait(ctx)
	}
	return c.answer(msg)
}

func (c *channel) hangs() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hang
}

// wait returns when it should, or 4 seconds later if it is broken: later than the suite
// allows.
func (c *channel) wait(ctx context.Context) error {
	patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*time.Second)
	defer cancel()
	if end, ok := ctx.Deadline(); ok && c.deadlineOnly {
		patient, cancel = context.WithDeadline(patient, end)
		defer cancel()
	}
	if !c.deaf && !c.deadlineOnly {
		patient = ctx
	}
	<-patient.Done()
	if c.hung != nil {
		return c.hung
	}
	return patient.Err()
}

func (c *channel) answer(msg notify.Message) (*notify.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.next; err != nil {
		if !c.stuck {
			c.next = nil
		}
		if errors.Is(err, telemed.ErrAmbiguous) {
			c.accepted++
		}
		if errors.Is(err, telemed.ErrAmbiguous) && c.repeats {
			c.accepted++
		}
		if c.fails != nil {
			err = c.fails(err, msg)
		}
		return nil, err
	}
	c.accepted += max(1, c.copies)
	receipt := &notify.Receipt{Channel: notify.Email, ID: strconv.Itoa(c.accepted), At: time.Now()}
	if c.receipt != nil {
		receipt = c.receipt(receipt)
	}
	return receipt, nil
}

func (c *channel) harness() notifytest.Harness {
	return notifytest.Harness{
		Notifier: c, Channel: notify.Email,
		Content:  &notify.Content{Subject: "Appointment confirmed", Text: "See you soon."},
		Accepted: func() int { c.mu.Lock(); defer c.mu.Unlock(); return c.accepted },
		Fail:     func(kind error) bool { c.mu.Lock(); defer c.mu.Unlock(); c.next = kind; return true },
		Hang:     func() { c.mu.Lock(); defer c.mu.Unlock(); c.hang = true },
	}
}

func TestSoundChannelConforms(t *testing.T) {
	t.Parallel()
	notifytest.Run(t, func(*testing.T) notifytest.Harness { return new(channel).harness() })
}

// TestBroken is the child's side of TestFindsWhatIsBroken.
func TestBroken(t *testing.T) {
	name := suitetest.Broken(t)
	notifytest.Run(t, func(*testing.T) notifytest.Harness { return (&channel{fault: broken[name].fault}).harness() })
}

// TestFindsWhatIsBroken runs the suite over broken notifiers in other processes, where it
// may fail.
func TestFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	clauses := map[string]string{}
	for name, b := range broken {
		clauses[name] = b.clause
	}
	suitetest.Finds(t, clauses)
}
