package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/realtime"
)

// fulfill does what is missing between what a visit's record wants and what the providers
// have. Each step can be done again, because the SDK does it once for each key. Each step
// is written down when it is done. An error means that something is still missing, and
// that another call may do it.
func (h *hospital) fulfill(ctx context.Context, id string) error {
	return h.visits.work(ctx, id, func(a *appointment, save func()) error {
		defer save()
		var errs []error
		if a.Status == paid || a.Status == confirmed {
			errs = append(errs, h.fulfillMeeting(ctx, a, save))
		}
		if a.Status == cancelled { // also if the meeting cannot take place any more
			errs = append(errs, h.fulfillRefund(ctx, a, save), h.fulfillCancel(ctx, a, save))
		}
		return errors.Join(append(errs, h.fulfillMessages(ctx, a, save))...)
	})
}

// fulfillMeeting makes the meeting of a visit that is paid for, or moves it.
func (h *hospital) fulfillMeeting(ctx context.Context, a *appointment, save func()) error {
	provider := h.meetings[a.Provider]
	if a.JoinURL == "" {
		a.MeetingAsked = true
		save() // if the process ends here, cancelling knows that there may be a meeting
		meeting, err := provider.Create(ctx, doctorID, a.request())
		switch {
		case errors.Is(err, telemed.ErrInvalid): // it was paid too late
			h.giveUp(a)
			return nil
		case errors.Is(err, meet.ErrCancelled): // the doctor has deleted it already
			a.Replaced++
			return fmt.Errorf("meeting: %w", err) // the next try has another Key
		case err != nil:
			return fmt.Errorf("meeting: %w", err)
		}
		a.MeetingID, a.JoinURL, a.MeetingStart = meeting.ID, meeting.JoinURL, a.Start
		if a.Status == paid {
			a.Status = confirmed
			a.owe(template.Confirmed)
			save()
			return h.announce(ctx, "new-appointment", a)
		}
	}
	if a.MeetingStart.Equal(a.Start) {
		return nil
	}
	if err := moveMeeting(ctx, provider, a, save); err != nil {
		return fmt.Errorf("move: %w", err)
	}
	a.MeetingStart = a.Start
	a.Sequence++
	a.owe(template.Rescheduled)
	save()
	return h.announce(ctx, "appointment-changed", a)
}

// moveMeeting moves the meeting to the visit's start. If the doctor has deleted it, there
// is a new one with another link.
func moveMeeting(ctx context.Context, provider meet.MeetingProvider, a *appointment, save func()) error {
	if a.MeetingID != "" {
		_, err := provider.Update(ctx, doctorID, a.MeetingID, a.request())
		if !errors.Is(err, telemed.ErrNotFound) && !errors.Is(err, meet.ErrCancelled) {
			return err
		}
		a.MeetingID = "" // cancelling finds by its key what may be there from now on
		a.Replaced++
		save()
	}
	meeting, err := provider.Create(ctx, doctorID, a.request())
	if err != nil {
		return err
	}
	a.MeetingID, a.JoinURL = meeting.ID, meeting.JoinURL
	if !meeting.Start.Equal(a.Start) {
		return telemed.ErrConflict // it is there after all, at the old time
	}
	return nil
}

// fulfillRefund gives the money of a cancelled visit back, once.
func (h *hospital) fulfillRefund(ctx context.Context, a *appointment, save func()) error {
	if a.refunded() {
		return nil
	}
	refund, err := h.gateway.Refund(ctx, payments.RefundRequest{PaymentID: a.PaymentID, Key: "cancel-" + a.ID})
	switch {
	case errors.Is(err, payments.ErrAlreadyRefunded): // by hand, in the gateway's dashboard
		a.RefundID = "by hand"
	case err != nil:
		return fmt.Errorf("refund: %w", err)
	default:
		a.RefundID = refund.ID
	}
	save()
	return nil
}

// fulfillCancel removes the meeting of a cancelled visit, also one whose making had no
// known outcome. It does not keep the refund waiting.
func (h *hospital) fulfillCancel(ctx context.Context, a *appointment, save func()) error {
	if a.meetingGone() {
		return nil
	}
	provider := h.meetings[a.Provider]
	if a.MeetingID == "" {
		meeting, err := provider.Create(ctx, doctorID, a.request()) // the one that may be there
		if err == nil {
			a.MeetingID = meeting.ID
			save()
		} else if !errors.Is(err, telemed.ErrInvalid) && !errors.Is(err, meet.ErrCancelled) && !disconnected(err) {
			return fmt.Errorf("meeting: %w", err)
		}
	}
	if a.MeetingID != "" {
		if err := provider.Cancel(ctx, doctorID, a.MeetingID); disconnected(err) {
			a.MeetingLeft = true // only the doctor can remove it from the calendar now
		} else if err != nil {
			return fmt.Errorf("meeting: %w", err)
		}
	}
	a.MeetingAsked, a.JoinURL = false, ""
	save()
	return h.announce(ctx, "appointment-changed", a)
}

// disconnected reports whether the account is out of reach: then the meeting is the
// doctor's own to remove.
func disconnected(err error) bool {
	return errors.Is(err, telemed.ErrNotConnected) || errors.Is(err, telemed.ErrReconnect) || errors.Is(err, meet.ErrOtherAccount)
}

// fulfillMessages sends what is due. A channel that fails does not stop the other. A
// message that may have arrived is not sent again, and one that cannot arrive is given
// up.
func (h *hospital) fulfillMessages(ctx context.Context, a *appointment, save func()) error {
	if a.Status == cancelled && !a.refunded() {
		return nil // the message says that the money is back
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(a.Due)) {
		due := a.Due[key]
		notifier := map[notify.Channel]notify.Notifier{notify.Email: h.mail, notify.WhatsApp: h.whatsapp}[due.channel]
		receipt, err := notifier.Notify(ctx, notify.Message{
			Key: key, To: a.Patient.recipient(), Template: due.template, Data: words(due.template, a),
		})
		switch {
		case err == nil:
			a.Sent[key] = receipt
		case errors.Is(err, telemed.ErrAmbiguous), errors.Is(err, notify.ErrRecipient), errors.Is(err, telemed.ErrInvalid):
			h.log.LogAttrs(ctx, slog.LevelWarn, "message is given up", slog.String("visit", a.ID), slog.String("template", due.template), slog.Any("error", err))
		default:
			errs = append(errs, err)
			continue
		}
		delete(a.Due, key)
		save()
	}
	return errors.Join(errs...)
}

// announcement is what the clinic's dashboard gets. Only its own staff is in the room.
type announcement struct {
	ID          string `json:"id"`
	PatientName string `json:"patientName"`
	Start       string `json:"start"` // RFC 3339
	Provider    string `json:"provider"`
	Status      string `json:"status"`
}

func announcementOf(a *appointment) announcement {
	return announcement{
		ID: a.ID, PatientName: a.Patient.Name, Start: a.Start.Format(time.RFC3339), Provider: place(a.Provider), Status: string(a.Status),
	}
}

func (h *hospital) announce(ctx context.Context, event string, a *appointment) error {
	return h.hub.Broadcast(ctx, "clinic-"+clinicID, realtime.Event{Name: event, Data: announcementOf(a)})
}

// place is a provider's name for people.
func place(provider string) string {
	return map[string]string{"google": "Google Meet", "zoom": "Zoom"}[provider]
}

// keepFulfilling fulfills what was left unfinished, again and again, until ctx ends. In
// production this is a job over the rows of a table.
func (h *hospital) keepFulfilling(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, visit := range h.visits.all() {
			if !visit.fulfilled() {
				h.tryFulfilling(ctx, visit.ID)
			}
		}
	}
}

// tryFulfilling is fulfill for callers who leave what fails to keepFulfilling.
func (h *hospital) tryFulfilling(ctx context.Context, id string) {
	if err := h.fulfill(ctx, id); err != nil {
		h.log.LogAttrs(ctx, slog.LevelWarn, "visit is not fulfilled yet", slog.String("visit", id), slog.Any("error", err))
	}
}
