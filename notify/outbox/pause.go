package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// PauseKind is the durable.ID's Kind of the row of a channel of one tenant whose credentials
// are refused, or that does not permit messages. Its Name is the channel, a slash and the
// tenant.
const PauseKind = "outbox-pause"

var pauseForm = durable.Form[pause]{Name: "outbox", Version: 1}

type pause struct {
	// Until is when one message tries the channel again, zero if its credentials are good.
	Until time.Time `json:"until,omitzero"`
	Since time.Time `json:"since,omitzero"`
	Told  bool      `json:"told,omitempty"` // OnStuck, of this pause
	// Forbidden is when the channel did not permit a message. That is told once a day.
	Forbidden     time.Time `json:"forbidden,omitzero"`
	ToldForbidden bool      `json:"told_forbidden,omitempty"`
}

// alarm says what a person is to be told, empty if nothing.
func (p *pause) alarm() string {
	switch {
	case !p.Until.IsZero() && !p.Told:
		return "credentials refused"
	case !p.Forbidden.IsZero() && !p.ToldForbidden:
		return "not permitted"
	}
	return ""
}

const (
	pauseFor = 10 * time.Minute
	probeFor = time.Minute // how long the others wait for the one that tries
)

func pauseID(tenant string, channel notify.Channel) durable.ID {
	return durable.ID{Kind: PauseKind, Name: string(channel) + "/" + tenant}
}

// planPause implements durable.Kind: one pause is told once.
func (o *Outbox) planPause(item durable.Item, _ time.Time) (durable.Effect, error) {
	is, err := pauseForm.Open(item)
	if err != nil || is.alarm() == "" {
		return durable.Effect{Name: string(actWait)}, err
	}
	return durable.Effect{Name: string(actTell), Do: func(context.Context) (durable.Fact, error) {
		if o.cfg.OnStuck != nil {
			told := item.Clone()
			told.Stuck = is.alarm()
			o.cfg.OnStuck(told)
		}
		return func(item *durable.Item) error {
			return pauseForm.Edit(item, func(known *pause, _ *durable.Trail) error {
				known.Told = known.Told || !is.Until.IsZero()
				known.ToldForbidden = known.ToldForbidden || is.Until.IsZero() || is.Told
				return nil
			})
		}, nil
	}}, nil
}

// pauseOf returns until when the channel is paused. Once that is over, one message tries it:
// paused says that it is this one.
func (o *Outbox) pauseOf(ctx context.Context, tenant string, channel notify.Channel) (until time.Time, paused bool, err error) {
	item, err := o.cfg.Store.Get(ctx, pauseID(tenant, channel))
	if err != nil {
		return time.Time{}, false, unknownIsNil(err)
	}
	is, err := pauseForm.Open(item)
	if err != nil || is.Until.IsZero() || is.Until.After(time.Now()) {
		return is.Until, false, err
	}
	err = o.changePause(ctx, tenant, channel, func(is *pause) error {
		if until = is.Until; is.Until.IsZero() || is.Until.After(time.Now()) { // others were faster
			return errUnchanged
		}
		until, is.Until = time.Time{}, utc(time.Now().Add(probeFor))
		paused = true
		return nil
	})
	return until, paused, err
}

func (o *Outbox) changePause(ctx context.Context, tenant string, channel notify.Channel, change func(is *pause) error) error {
	_, err := durable.Change(ctx, o.cfg.Store, pauseID(tenant, channel), func(item *durable.Item) error {
		item.Tenant = tenant
		return pauseForm.Edit(item, func(is *pause, _ *durable.Trail) error {
			err := change(is)
			item.EraseAt = time.Now().Add(refKeep)
			if is.alarm() != "" {
				item.Due = time.Now()
			}
			return err
		})
	})
	if err == nil {
		o.wake()
	}
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// forbidden notes that the channel did not permit a message: another one may take it, and
// somebody is to know.
func (s *sending) forbidden(ctx context.Context) error {
	return s.changePause(ctx, s.item.Tenant, s.channel(), func(is *pause) error {
		if time.Since(is.Forbidden) < 24*time.Hour {
			return errUnchanged
		}
		is.Forbidden, is.ToldForbidden = now(), false
		return nil
	})
}

// unpause notes that the credentials are good again.
func (o *Outbox) unpause(ctx context.Context, tenant string, channel notify.Channel) error {
	return o.changePause(ctx, tenant, channel, func(is *pause) error {
		is.Until, is.Since, is.Told = time.Time{}, time.Time{}, false
		return nil
	})
}

// credentialsRefused pauses the channel of the tenant. The message goes by another one if
// there is one, and no failure is counted.
func (s *sending) credentialsRefused(ctx context.Context, err error) (durable.Fact, error) {
	until := utc(time.Now().Add(pauseFor))
	pauseErr := s.changePause(ctx, s.item.Tenant, s.channel(), func(is *pause) error {
		if is.Since.IsZero() {
			is.Since = now()
		}
		is.Until = until
		return nil
	})
	return s.not(func(_ *record, _ *message, w *way) { w.Paused = until }), told(errors.Join(err, pauseErr))
}
