package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// die kills the hospital and starts it again.
func (w *walk) die() error { return w.super.kill(w.ctx, "") }

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
	if !w.quick { // what comes next is in the middle of the next death already
		w.Google.FailNext(googlemeettest.Fault{Op: googlemeettest.OpInsert, LoseAnswer: true})
	}
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
