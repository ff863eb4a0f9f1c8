package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/store/durable"
)

// moment is a line of a visit's timeline.
type moment struct {
	At   time.Time
	Of   string // who says so: visit, money, messages, work, wire, staff
	What string
	Bad  bool // something went wrong
}

// observe writes down each effect that was tried for a visit. What a process was killed in is
// told by whoever takes the row over, without its name.
func (h *hospital) observe(e durable.Event) {
	if !slices.Contains([]string{visit.RowKind, visit.BillKind, visit.MessagesKind}, e.ID.Kind) {
		return
	}
	what := fmt.Sprintf("%s, in %s", e.Effect, e.Took.Round(time.Millisecond))
	if e.Err != nil {
		what = fmt.Sprintf("%s has failed (attempt %d): %v", e.Effect, e.Attempts, e.Err)
	}
	_, err := h.rows.ExecContext(context.Background(), `INSERT INTO effects (visit, at, what) VALUES ($1, $2, $3)`, e.ID.Name, time.Now().UnixMilli(), what)
	if err != nil {
		h.log.Warn("an effect is missing in its timeline", slog.Any("error", err))
	}
}

// tried are the effects of a visit.
func (h *hospital) tried(ctx context.Context, id string) (all []moment, err error) {
	rows, err := h.rows.QueryContext(ctx, `SELECT at, what FROM effects WHERE visit = $1`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		var what string
		if err := rows.Scan(&at, &what); err != nil {
			return nil, err
		}
		all = append(all, moment{time.UnixMilli(at), "work", what, strings.Contains(what, " has failed ")})
	}
	return all, rows.Err()
}

// tracing puts together what is known of a visit.
type tracing struct {
	v          *visit.Visit
	s          *seen
	moments    []moment
	order      string
	references map[string]bool // of its messages
	ids        []string        // by which it is known on the wire
}

// idIn finds the ids that providers gave in the words of a timeline.
var idIn = regexp.MustCompile(`\b(?:order|pay|rfnd)_[A-Za-z0-9]+|^meeting ([A-Za-z0-9]{6,})$`)

// of are the kinds of a visit's rows, in words.
var of = map[string]string{visit.RowKind: "visit", visit.BillKind: "money", visit.MessagesKind: "messages"}

// trace puts the timeline together: what the visit's rows say, what was tried, what went over
// the wire, what staff broke.
func (h *hospital) trace(ctx context.Context, v *visit.Visit, messages []outbox.Status, s *seen) (*tracing, error) {
	entries, err := h.visits.Timeline(ctx, v.ID)
	if err != nil {
		return nil, err
	}
	t := &tracing{v: v, s: s, references: map[string]bool{}, ids: []string{v.ID}}
	if t.moments, err = h.tried(ctx, v.ID); err != nil {
		return nil, err
	}
	for _, e := range entries {
		t.moments = append(t.moments, moment{e.At, of[e.Of], e.What, strings.Contains(e.What, "unknown") || strings.Contains(e.What, "refused")})
		for _, found := range idIn.FindAllStringSubmatch(e.What, -1) {
			id := found[0]
			if found[1] != "" {
				id = found[1]
			}
			t.ids = append(t.ids, id)
			if strings.HasPrefix(id, "order_") {
				t.order = id
			}
		}
	}
	for _, m := range messages {
		reference := notify.Reference(v.ID + "/" + m.Key)
		t.references[reference] = true
		t.ids = append(t.ids, reference)
		if m.ID != "" {
			t.ids = append(t.ids, m.ID)
		}
	}
	if s != nil {
		t.wire()
	}
	slices.SortStableFunc(t.moments, func(a, b moment) int { return a.order().Compare(b.order()) })
	return t, nil
}

// order is where it stands. Rows say whole seconds, and they are written after the calls that
// they are about; the wish that begins all of it comes before.
func (m moment) order() time.Time {
	if m.At.Nanosecond() != 0 || strings.HasPrefix(m.What, "booked for ") {
		return m.At
	}
	return m.At.Add(time.Second - 1)
}

// wire adds what the providers have seen, and what was done to them since the visit began.
func (t *tracing) wire() {
	began := t.moments[0].At
	for _, m := range t.moments {
		if m.At.Before(began) {
			began = m.At
		}
	}
	for _, x := range t.s.Wire {
		if slices.ContainsFunc(t.ids, func(id string) bool { return strings.Contains(x.Path, id) || strings.Contains(x.Body, id) }) {
			t.moments = append(t.moments, exchanged(x))
		}
	}
	for _, m := range t.s.Mails {
		if t.references[m.Reference] {
			t.moments = append(t.moments, moment{At: m.At, Of: "wire", What: "mail server has taken " + m.ID})
		}
	}
	for _, a := range t.s.Acts {
		if a.Visit == t.v.ID || a.Visit == "" && !a.At.Before(began) {
			t.moments = append(t.moments, moment{a.At, "staff", a.What, true})
		}
	}
}

// exchanged tells of a request, or of a webhook, in one line.
func exchanged(x local.Exchange) moment {
	path, _, _ := strings.Cut(x.Path, "?")
	what := fmt.Sprintf("%s: %s %s", x.Provider, x.Op, path)
	if x.Webhook {
		what = fmt.Sprintf("%s: webhook %s", x.Provider, x.Op)
	}
	if x.Status == 0 {
		return moment{x.At, "wire", what + " → no answer", true}
	}
	return moment{x.At, "wire", fmt.Sprintf("%s → %d", what, x.Status), x.Status >= 400}
}

// counter is the proof: how often each thing was done. Mails and messages are the most
// copies of one of them that anybody has.
type counter struct{ Meetings, Charges, Mails, Messages int }

func (t *tracing) count() *counter {
	c := &counter{Charges: len(t.s.Payments[t.order])}
	for _, start := range t.s.Meetings {
		if start.Equal(t.v.Start) {
			c.Meetings++
		}
	}
	mails, chats := map[string]int{}, map[string]int{}
	for _, m := range t.s.Mails {
		if t.references[m.Reference] {
			mails[m.Reference+m.To]++
			c.Mails = max(c.Mails, mails[m.Reference+m.To])
		}
	}
	for _, m := range t.s.Chats {
		if t.references[m.Reference] {
			chats[m.Reference]++
			c.Messages = max(c.Messages, chats[m.Reference])
		}
	}
	return c
}

// Good says that nothing was done twice.
func (c *counter) Good() bool { return max(c.Meetings, c.Charges, c.Mails, c.Messages) <= 1 }
