package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// refKind is the Kind of the row that says which message a reference is of. It is written
// before the first byte is sent, so that no report comes before it.
const refKind = "message-ref"

var refForm = durable.Form[reference]{Name: "outbox", Version: 1}

type reference struct {
	Kind  string `json:"kind,omitempty"` // of the group's row; empty: RowKind
	Group string `json:"group"`
	Key   string `json:"key"`
}

// refKeep is how long after a send a report is understood. Meta keeps a message for 30 days
// for a phone that is off.
const refKeep = 60 * 24 * time.Hour

var referencePattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

func refID(ref string) durable.ID { return durable.ID{Kind: refKind, Name: ref} }

// refer writes down which message the reference of a Key is of.
func (s *sending) refer(ctx context.Context, key string) error {
	is := reference{s.kind, s.item.ID.Name, s.m.Key}
	if s.kind == RowKind {
		is.Kind = ""
	}
	_, err := durable.Change(ctx, s.cfg.Store, refID(notify.Reference(key)), func(item *durable.Item) error {
		return refForm.Edit(item, func(r *reference, _ *durable.Trail) error {
			if *r == is && time.Until(item.EraseAt) > refKeep/2 {
				return errUnchanged
			}
			*r, item.EraseAt = is, time.Now().Add(refKeep)
			return nil
		})
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// Report takes what a channel's provider says of a message later, who wants no more of
// them, and who has another address: give it to whatsapp.Client.Reports, for instance.
// Reports may come late, twice and in any order. What is about no message of ours is nil. An
// error is that the report could not be kept: have the provider repeat it.
//
// Who has said stop at one address has said it at all by which the provider knows the
// person. Nothing is sent to an address that a person has left: the message takes another
// channel, and if there is none, OnStuck is told.
func (o *Outbox) Report(ctx context.Context, r notify.Report) error {
	var p fault.Problems
	p.Required("Channel", string(r.Channel))
	p.Required("State", string(r.State))
	if err := p.Err("outbox: report"); err != nil {
		return err
	}
	switch r.State {
	case notify.ReportStopped:
		return o.stopped(ctx, r)
	case notify.ReportMoved:
		return o.moved(ctx, r)
	}
	if !referencePattern.MatchString(r.Reference) { // another sender's data
		return nil
	}
	item, err := o.cfg.Store.Get(ctx, refID(r.Reference))
	if err != nil {
		return unknownIsNil(err)
	}
	is, err := refForm.Open(item)
	if err != nil {
		return err
	}
	w := o.Writer
	w.kind = cmp.Or(is.Kind, RowKind) // it may be of another Outbox over this Store
	var to notify.Recipient
	err = unknownIsNil(w.change(ctx, is.Group, func(item *durable.Item, rec *record) error {
		m := rec.find(is.Key)
		if m != nil {
			to = m.message("", "").To
		}
		if item.Revision == "" || m == nil || !m.merge(rec, r) {
			return errUnchanged
		}
		return nil
	}))
	if err != nil || len(r.KnownAs) == 0 {
		return err
	}
	return o.link(ctx, r.Channel, distinct(append(addressesOf(r.Channel, to), r.KnownAs...)))
}

func unknownIsNil(err error) error {
	if errors.Is(err, telemed.ErrNotFound) {
		return nil
	}
	return err
}

// merge adds what a report says, and reports whether it is new.
func (m *message) merge(r *record, said notify.Report) (isNew bool) {
	if m.way(said.Channel).N == 0 { // it is not of this message
		return false
	}
	at := said.At
	if at.IsZero() {
		at = time.Now()
	}
	m.on(said.Channel, func(w *way) {
		ofAnother := said.ID != "" && w.ID != "" && said.ID != w.ID // sent twice
		switch {
		case !w.Delivered.IsZero():
		case said.State == notify.ReportSent && w.Sent.IsZero():
			w.Sent, isNew = utc(at), true
			m.identify(w, said.ID)
		case said.State == notify.ReportDelivered || said.State == notify.ReportRead:
			w.Delivered, isNew = utc(at), true
		case said.State == notify.ReportFailed && w.Failed.IsZero() && !ofAnother && w.wasOut():
			w.Failed, isNew = utc(at), true
		}
	})
	if isNew {
		r.note(m.Key, fmt.Sprintf("is reported as %s by %s", said.State, said.Channel))
	}
	return isNew
}

func unmarshal(data json.RawMessage, v any) error {
	if json.Unmarshal(data, v) != nil {
		return fmt.Errorf("outbox: a message's Data cannot be read: %w", telemed.ErrInvalid)
	}
	return nil
}
