package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// pace is that of a hospital which is killed: others wait for twice of it.
const pace = 2 * time.Second

// childDB is the variable that makes a process a child of runCheck. It names the SQLite
// file; where the providers are is in the environment too.
const childDB = "HOSPITAL_CHILD_DB"

func serveChild(ctx context.Context, out io.Writer, o options) error {
	o.db, o.pace = os.Getenv(childDB), pace
	return serve(ctx, out, o)
}

// child is the hospital in a process of its own. Its providers are in this one.
type child struct {
	*panel
	log  *slog.Logger
	base string
	addr string // the same after each restart
	cmd  *exec.Cmd
}

// start starts the process and waits until it is open.
func (c *child) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"-addr", cmp.Or(c.addr, "127.0.0.1:0")}
	if c.log.Enabled(ctx, slog.LevelDebug) {
		args = append(args, "-v")
	}
	c.cmd = exec.Command(self, args...)
	c.cmd.Env, c.cmd.Stderr = append(os.Environ(), childDB+"="+filepath.Join(c.folder, "hospital.db")), os.Stderr
	for name, value := range c.env {
		c.cmd.Env = append(c.cmd.Env, name+"="+value)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the hospital does not open: %w", err)
	}
	c.base = strings.TrimSpace(strings.TrimPrefix(line, "The hospital is open: "))
	c.addr = strings.TrimPrefix(c.base, "http://")
	c.follow(c.addr)
	return nil
}

// kill is kill -9.
func (c *child) kill() error {
	if c.cmd == nil || c.cmd.Process == nil {
		return nil
	}
	err := c.cmd.Process.Kill()
	_ = c.cmd.Wait() // it was killed
	c.cmd = nil
	return err
}

// die kills the hospital and starts it again.
func (w *walk) die() error { return errors.Join(w.child.kill(), w.child.start(w.ctx)) }

func (w *walk) dieBeforePayment() (string, error) {
	if err := w.die(); err != nil {
		return "", err
	}
	s, err := w.state()
	return "started again, and still to be paid", errors.Join(err, want(s.Status, visit.StatusReserved))
}

// dieAfterPayment: nobody hears of the payment, until the browser comes back.
func (w *walk) dieAfterPayment() (string, error) {
	w.Razorpay.HoldWebhooks()
	result, err := w.outcome("pay")
	if err != nil {
		return "", err
	}
	// What comes next is in the middle of the next death already.
	w.Google.FailNext(googlemeettest.Fault{Op: googlemeettest.OpInsert, LoseAnswer: true})
	if err := w.die(); err != nil {
		return "", err
	}
	if _, err := w.patient.post("/payments/callback", result); err != nil {
		return "", err
	}
	s, err := w.reach("booked", func(s shown) bool { return s.Status == visit.StatusBooked })
	return "started again; the browser came back", errors.Join(err, want(s.Status, visit.StatusBooked))
}

func (w *walk) dieInTheMeeting() (string, error) {
	_, err := w.Google.WaitFor(w.ctx, func(r googlemeettest.Request) bool { return r.Op == googlemeettest.OpInsert })
	if err != nil {
		return "", err
	}
	w.Mail.FailNext(smtptest.Fault{Op: smtptest.OpData, LoseAnswer: true})
	if err := w.die(); err != nil {
		return "", err
	}
	began := time.Now()
	_, err = w.reach("meeting", isBooked)
	return fmt.Sprintf("started again; the meeting is there after %d s", int(time.Since(began).Seconds())), err
}

func (w *walk) dieInTheMail() (string, error) {
	if _, err := w.Mail.WaitFor(w.ctx, smtptest.To(w.who.Email)); err != nil {
		return "", err
	}
	w.WhatsApp.FailNext(whatsapptest.Fault{Op: whatsapptest.OpSend, LoseAnswer: true})
	return "started again", w.die()
}

func (w *walk) dieInTheChat() (string, error) {
	if _, err := w.WhatsApp.WaitFor(w.ctx, func(whatsapptest.Message) bool { return true }); err != nil {
		return "", err
	}
	return "started again", w.die()
}
