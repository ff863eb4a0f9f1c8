package visit

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// DoctorKind is the durable.ID's Kind of a doctor's account that does not work.
const DoctorKind = "doctor"

// account is a row of its own: which visits wait for a doctor to connect an account.
type account struct {
	// Since is when a provider was found not to work; the doctor is told once for each.
	Since  map[string]time.Time `json:"since,omitempty"`
	Visits []string             `json:"visits,omitempty"`
}

var accountForm = durable.Form[account]{Name: "visit: doctor", Version: 1}

func accountID(doctorID string) durable.ID { return durable.ID{Kind: DoctorKind, Name: doctorID} }

// maxWaiting bounds the row. Further visits find the account when they try again.
const maxWaiting = 1000

// await notes that a visit waits for the doctor's account, and has the doctor told, once.
func (v *Visits) await(ctx context.Context, r *record) error {
	var since time.Time
	_, err := durable.Change(ctx, v.cfg.Store, accountID(r.Request.Doctor.ID), func(item *durable.Item) error {
		item.EraseAt = time.Now().Add(v.cfg.Keep)
		return accountForm.Edit(item, func(a *account, _ *durable.Trail) error {
			since = a.waits(r.Request.Provider, r.Request.ID)
			return nil
		})
	})
	if err != nil {
		return err
	}
	return v.askToReconnect(ctx, r, since)
}

// waits notes that a visit waits for a provider, and returns since when others do.
func (a *account) waits(provider, visit string) time.Time {
	since, known := a.Since[provider]
	if !known {
		if a.Since == nil {
			a.Since = map[string]time.Time{}
		}
		since = time.Now().UTC().Truncate(time.Second)
		a.Since[provider] = since
	}
	if !slices.Contains(a.Visits, visit) && len(a.Visits) < maxWaiting {
		a.Visits = append(a.Visits, visit)
	}
	return since
}

// reconnect is what the notice to a doctor says.
type reconnect struct {
	Provider string `json:"provider"`
	Doctor   Doctor `json:"doctor"`
}

// askToReconnect queues the notice to the doctor.
func (v *Visits) askToReconnect(ctx context.Context, r *record, since time.Time) error {
	data, err := json.Marshal(reconnect{r.Request.Provider, r.Request.Doctor})
	if err != nil || r.Request.Doctor.Email == "" {
		return err
	}
	return v.queue.Enqueue(ctx, outbox.Message{
		Key: template.Reconnect + "/" + r.Request.Provider + "/" + strconv.FormatInt(since.Unix(), 10), Group: doctorGroup + r.Request.Doctor.ID,
		Tenant: r.Request.Tenant, Channels: onlyMail, Template: template.Reconnect, Data: data,
	})
}

// Connected has the visits go on that wait for this doctor to connect an account. It fits
// connect.Config.OnConnect. What it misses finds out by itself, within half an hour.
func (v *Visits) Connected(ctx context.Context, id store.AccountID, _ store.Account) {
	var waiting []string
	_, err := durable.Change(ctx, v.cfg.Store, accountID(id.Subject), func(item *durable.Item) error {
		if item.Revision == "" {
			return errSame
		}
		return accountForm.Edit(item, func(a *account, _ *durable.Trail) error {
			waiting = a.Visits
			*a = account{}
			return nil
		})
	})
	if err != nil {
		if !errors.Is(err, errSame) {
			v.cfg.Logger.Warn("visit: Connected: visits that wait find out later", slog.Any("error", err))
		}
		return
	}
	for _, name := range waiting {
		err := v.update(ctx, name, func(r *record) error {
			r.Rests.End()
			r.Waits = false
			return nil
		})
		if err != nil && !errors.Is(err, telemed.ErrNotFound) {
			v.cfg.Logger.Warn("visit: Connected: a visit that waits finds out later", slog.String("id", name), slog.Any("error", err))
		}
	}
}
