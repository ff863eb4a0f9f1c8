package outbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// A person may have several addresses on a channel: the number as the application writes it,
// the number as Meta spells it, Meta's user id. Each has a row of the Kind optOutKind, and
// the rows name each other. Whatever is said at one of them is written to all.

const (
	// linkKeep is how long it is kept that addresses are one person's, after the last send.
	linkKeep = 365 * 24 * time.Hour
	// mostLinks is how many addresses of one person are known at most.
	mostLinks = 16
)

// change changes what is known of a person at one address.
type change func(item *durable.Item, is *optOut) error

// distinct returns addresses in lower case, each once, without empty ones.
func distinct(addresses []string) (all []string) {
	for _, address := range addresses {
		address = strings.ToLower(address)
		if address != "" && !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// changeOne changes one row and returns the names of the others of the same person.
func (o *Outbox) changeOne(ctx context.Context, id durable.ID, do change) (same []string, err error) {
	_, err = durable.Change(ctx, o.cfg.Store, id, func(item *durable.Item) error {
		return optOutForm.Edit(item, func(is *optOut, _ *durable.Trail) error {
			err := do(item, is)
			same = slices.Clone(is.Same)
			return err
		})
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	return same, err
}

// everywhere changes the rows of all addresses that the person at one has.
func (o *Outbox) everywhere(ctx context.Context, channel notify.Channel, address string, do change) error {
	key, err := o.optOutKey(ctx, true)
	if err != nil {
		return err
	}
	return o.reach(ctx, optOutID(key, channel, address).Name, do)
}

// reach is everywhere, by the name of one row.
func (o *Outbox) reach(ctx context.Context, name string, do change) error {
	names := []string{name}
	for i := 0; i < len(names) && i <= mostLinks; i++ {
		same, err := o.changeOne(ctx, durable.ID{Kind: optOutKind, Name: names[i]}, do)
		if err != nil {
			return err
		}
		for _, name := range same {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return nil
}

// link keeps that addresses are one person's, but for those that the person has left: they
// may be a stranger's, and a provider may still tell late of a message that went there. Who
// has said stop at one has said it at all.
func (o *Outbox) link(ctx context.Context, channel notify.Channel, addresses []string) error {
	if len(addresses) < 2 {
		return nil
	}
	rows, err := o.standings(ctx, channel, addresses)
	if err != nil || len(rows) < 2 {
		return err
	}
	var names []string
	for _, r := range rows {
		names = append(names, r.name)
	}
	var stopped time.Time
	for _, r := range rows {
		stopped = later(stopped, r.is.Stopped)
		if r.is.link(&r.item, r.name, names) != nil { // all is known: most reports write nothing
			continue
		}
		_, err := o.changeOne(ctx, durable.ID{Kind: optOutKind, Name: r.name}, func(item *durable.Item, is *optOut) error {
			if !is.Moved.IsZero() { // just now
				return errUnchanged
			}
			stopped = later(stopped, is.Stopped)
			return is.link(item, r.name, names)
		})
		if err != nil {
			return err
		}
	}
	if stopped.IsZero() {
		return nil
	}
	return o.reach(ctx, names[0], stopAt(stopped))
}

// standings reads the rows of addresses that their person has not left.
func (o *Outbox) standings(ctx context.Context, channel notify.Channel, addresses []string) (rows []standingRow, err error) {
	key, err := o.optOutKey(ctx, true)
	if err != nil {
		return nil, err
	}
	for _, address := range addresses {
		id := optOutID(key, channel, address)
		item, err := o.cfg.Store.Get(ctx, id)
		if errors.Is(err, telemed.ErrNotFound) {
			rows = append(rows, standingRow{name: id.Name, is: &optOut{}})
			continue
		}
		if err != nil {
			return nil, err
		}
		is, err := optOutForm.Open(item)
		if err != nil {
			return nil, err
		}
		if is.Moved.IsZero() {
			rows = append(rows, standingRow{id.Name, item, is})
		}
	}
	return rows, nil
}

// standingRow is a row as it was read. Nothing is written from it.
type standingRow struct {
	name string
	item durable.Item
	is   *optOut
}

// link adds the others of names. A row that says nothing else is erased some day.
func (is *optOut) link(item *durable.Item, own string, names []string) error {
	before := len(is.Same)
	for _, name := range names {
		if name != own && !slices.Contains(is.Same, name) && len(is.Same) < mostLinks {
			is.Same = append(is.Same, name)
		}
	}
	fresh := len(is.Same) > before
	says := !is.Stopped.IsZero() || !is.Moved.IsZero() || !is.Allowed.IsZero()
	switch {
	case says && (fresh || !item.EraseAt.IsZero()):
		item.EraseAt = time.Time{}
	case !says && (fresh || time.Until(item.EraseAt) < linkKeep/2):
		item.EraseAt = time.Now().Add(linkKeep)
	default:
		return errUnchanged
	}
	return nil
}

// moved keeps that a person has left an address: nothing is sent there any more. What was
// said there holds at the new one.
func (o *Outbox) moved(ctx context.Context, r notify.Report) error {
	at := reportedAt(r)
	was, err := o.standing(ctx, r.Channel, r.Address)
	if err != nil || r.Address == "" || !was.Moved.IsZero() || !at.After(was.Allowed) || !at.After(was.Returned) {
		return err
	}
	key, err := o.optOutKey(ctx, true)
	if err != nil {
		return err
	}
	old, next := optOutID(key, r.Channel, r.Address), ""
	if r.NewAddress != "" {
		next = optOutID(key, r.Channel, r.NewAddress).Name
		if err := o.taken(ctx, next, at); err != nil {
			return err
		}
	}
	all := distinct(append([]string{r.NewAddress}, r.KnownAs...))
	if err := o.link(ctx, r.Channel, all); err != nil {
		return err
	}
	if len(all) > 0 && !was.Stopped.IsZero() {
		if err := o.everywhere(ctx, r.Channel, all[0], stopAt(was.Stopped)); err != nil {
			return err
		}
	}
	for _, name := range was.Same { // the number's next owner is somebody else
		if err := o.unlink(ctx, name, old.Name); err != nil {
			return err
		}
	}
	_, err = o.changeOne(ctx, old, func(item *durable.Item, is *optOut) error {
		if !is.Stopped.Equal(was.Stopped) {
			return errMeanwhile
		}
		is.Stopped, is.Moved, is.Next, is.Same, item.EraseAt = time.Time{}, utc(at), next, nil, time.Time{}
		return nil
	})
	return err
}

// errMeanwhile has the provider repeat a report.
var errMeanwhile = errors.New("outbox: the person has said something else meanwhile")

// taken keeps that an address which somebody had left is that of a known person again.
func (o *Outbox) taken(ctx context.Context, name string, at time.Time) error {
	_, err := o.changeOne(ctx, durable.ID{Kind: optOutKind, Name: name}, func(_ *durable.Item, is *optOut) error {
		if is.Moved.IsZero() || !at.After(is.Moved) {
			return errUnchanged
		}
		is.Moved, is.Next, is.Returned = time.Time{}, "", utc(at)
		return nil
	})
	return err
}

func (o *Outbox) unlink(ctx context.Context, name, other string) error {
	_, err := o.changeOne(ctx, durable.ID{Kind: optOutKind, Name: name}, func(_ *durable.Item, is *optOut) error {
		i := slices.Index(is.Same, other)
		if i < 0 {
			return errUnchanged
		}
		is.Same = slices.Delete(is.Same, i, i+1)
		return nil
	})
	return err
}
