package visittest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// judge compares what the rows say of one visit with what the providers have.
type judge struct {
	*schedule
	*visit.Visit
	truth    Truth
	messages []outbox.Status
}

// check looks at everything at the end.
func (s *schedule) check(ctx context.Context) {
	for item := range s.rows.List(ctx, durable.Filter{}) {
		if item.Lease.Owner != "" {
			s.find(&s.report.NeverEnded, "%s is in somebody's hands", item.ID)
		}
		if item.Stuck != "" && !s.toldOf(item.ID.Name, "") {
			s.problem("%s is stuck and nobody was told: %s", item.ID, item.Stuck)
		}
	}
	truth, err := s.world.Truth(ctx)
	if err != nil {
		s.problem("Truth: %v", err)
		return
	}
	box, err := outbox.New(outbox.Config{
		Store: s.rows, Kind: visit.MessagesKind, Compose: func(context.Context, outbox.Message) (notify.Message, error) {
			return notify.Message{}, outbox.ErrUntrue
		},
		Tenants: func(context.Context, string) (map[notify.Channel]notify.Notifier, error) { return nil, nil },
	})
	if err != nil {
		s.problem("%v", err)
		return
	}
	for item := range s.rows.List(ctx, durable.Filter{Kind: visit.MessagesKind}) {
		s.messages(ctx, box, truth, item.ID.Name)
	}
	visits := s.checkVisits(ctx, box, truth)
	if s.world.Check != nil {
		for _, problem := range s.world.Check(ctx, visits) {
			s.problem("%s", problem)
		}
	}
}

// checkVisits judges each visit, and returns those that were booked.
func (s *schedule) checkVisits(ctx context.Context, box *outbox.Outbox, truth Truth) (all []*visit.Visit) {
	for _, t := range s.visits {
		v, err := s.observer.visits.Get(ctx, t.id)
		if errors.Is(err, telemed.ErrNotFound) && !t.booked {
			continue
		}
		if err != nil {
			s.problem("%s: %v", t.id, err)
			continue
		}
		all = append(all, v)
		messages, err := box.Get(ctx, t.id)
		if err != nil && !errors.Is(err, telemed.ErrNotFound) {
			s.problem("%s: %v", t.id, err)
		}
		j := &judge{s, v, truth, messages}
		j.judge()
		if len(s.report.Problems) > 0 {
			s.problem("%s", j.timeline(ctx))
		}
	}
	return all
}

// find counts something that must not be.
func (s *schedule) find(count *int, format string, args ...any) {
	*count++
	s.problem(format, args...)
}

// toldOf reports whether a person was told of a visit, with a text in the reason.
func (s *schedule) toldOf(id, text string) bool {
	return slices.ContainsFunc(s.stuck, func(told visit.Stuck) bool {
		return (told.ID == id || told.ID == "") && strings.Contains(told.Why, text)
	})
}

func (j *judge) judge() {
	if j.Status == visit.StatusReserved {
		j.find(&j.report.NeverEnded, "%s is still reserved", j.ID)
	}
	if j.Stuck != "" && !j.toldOf(j.ID, "") {
		j.problem("%s is stuck and nobody was told: %s", j.ID, j.Stuck)
	}
	j.meetings()
	j.money()
	for _, key := range j.expected() {
		j.expect(key)
	}
}

func (j *judge) meetings() {
	made := j.truth.Meetings[j.ID]
	var alive []meet.Meeting
	for _, m := range made {
		if m.Status != meet.StatusCancelled {
			alive = append(alive, m)
		}
	}
	switch {
	case len(made) > 1:
		j.find(&j.report.MeetingTwice, "%s has %d meetings", j.ID, len(made))
	case j.toldOf(j.ID, "meeting"):
	case j.Status != visit.StatusBooked && len(alive) > 0:
		j.problem("%s is %s, and its meeting is there", j.ID, j.Status)
	case j.Status == visit.StatusBooked && j.Provider != "" && (len(alive) == 0 || !alive[0].Start.Equal(j.Start)):
		j.find(&j.report.Lost, "%s has no meeting at its start: %v", j.ID, alive)
	}
}

func (j *judge) money() {
	var taken, back int64
	paid := j.truth.Payments[j.ID]
	if len(paid) > 1 {
		j.find(&j.report.ChargeTwice, "%s was paid %d times", j.ID, len(paid))
	}
	for _, p := range paid {
		taken += p.Amount.Minor
	}
	refunds := map[string]int{}
	for _, r := range j.truth.Refunds[j.ID] {
		switch r.Status {
		case payments.RefundFailed:
			continue
		case payments.RefundPending, payments.RefundCreated:
			j.find(&j.report.NeverEnded, "%s: refund %s is pending", j.ID, r.ID)
		}
		back += r.Amount.Minor
		if refunds[r.PaymentID]++; refunds[r.PaymentID] == 2 {
			j.find(&j.report.RefundTwice, "%s: payment %s was given back twice", j.ID, r.PaymentID)
		}
	}
	kept := taken - back
	all := j.Status == visit.StatusLapsed || j.Status == visit.StatusGone || j.Status == visit.StatusCancelled && !j.cancelledByPatient()
	switch {
	case j.toldOf(j.ID, "refund"), j.toldOf(j.ID, "payment"):
	case j.Status == visit.StatusBooked && kept != j.Price.Minor:
		j.problem("%s is booked, and %d of %d are kept", j.ID, kept, j.Price.Minor)
	case all && kept != 0:
		j.find(&j.report.Lost, "%s is %s, and %d are kept", j.ID, j.Status, kept)
	case back != j.Refund.Amount.Minor:
		j.problem("%s says that %d were given back, and it is %d", j.ID, j.Refund.Amount.Minor, back)
	}
}

func (j *judge) cancelledByPatient() bool {
	for _, t := range j.visits {
		for _, wish := range t.Wishes {
			if t.id == j.ID && wish.Cancel == visit.ByPatient {
				return true
			}
		}
	}
	return false
}

// arrivals are those of a message by a channel.
func (t Truth) arrivals(channel notify.Channel, group, key string) (all []notify.Report) {
	reference := notify.Reference(group + "/" + key)
	for _, m := range t.Messages {
		if m.Channel == channel && m.Reference == reference {
			all = append(all, m)
		}
	}
	return all
}

// messages judges all messages of a group.
func (s *schedule) messages(ctx context.Context, box *outbox.Outbox, truth Truth, group string) {
	all, err := box.Get(ctx, group)
	if err != nil {
		s.problem("%s: %v", group, err)
	}
	for _, m := range all {
		s.message(truth, group, m)
	}
}

// message judges one message that was enqueued.
func (s *schedule) message(truth Truth, group string, m outbox.Status) {
	came := 0
	for channel, count := range map[notify.Channel]*int{notify.Email: &s.report.MailTwice, notify.WhatsApp: &s.report.ChatTwice} {
		arrived := truth.arrivals(channel, group, m.Key)
		came += len(arrived)
		for _, again := range arrived[min(1, len(arrived)):] {
			*count++
			if s.harm == 0 || !slices.Contains(s.cfg.WithoutEvidence, channel) {
				s.problem("%s: %s came again by %s, at %v", group, m.Key, channel, again.At)
			}
		}
		for _, a := range arrived {
			if why := s.ghost(group, m, a.At); why != "" {
				s.find(&s.report.Ghost, "%s: %s came by %s at %v, %s", group, m.Key, channel, a.At, why)
			}
		}
	}
	told := s.toldOf(group, m.Key)
	switch m.State {
	case outbox.Sent, outbox.Delivered:
		if came == 0 {
			s.find(&s.report.Lost, "%s: %s is %s and never came", group, m.Key, m.State)
		}
	case outbox.Due, outbox.Sending, outbox.Unknown:
		s.find(&s.report.NeverEnded, "%s: %s is %s", group, m.Key, m.State)
	case outbox.Stuck, outbox.Failed:
		s.report.Stuck++
		if !told {
			s.problem("%s: %s is %s and nobody was told", group, m.Key, m.State)
		}
	case outbox.Dropped:
		if m.Reason == "expired" && !told {
			s.find(&s.report.Lost, "%s: %s is expired and nobody was told", group, m.Key)
		}
	}
}

// ghost says why a message is one that came although it was not true any more. What was
// being sent when somebody wished something else is none.
func (s *schedule) ghost(id string, m outbox.Status, at time.Time) string {
	if m.Generation == 0 {
		return ""
	}
	start := time.Time{}
	for _, w := range s.wanted[id] {
		switch {
		case w.Generation == m.Generation:
			start = w.Start
		case w.Generation > m.Generation && at.After(w.at.Add(s.cfg.Grace+time.Second)):
			return fmt.Sprintf("and generation %d was wanted since %v", w.Generation, w.at)
		}
	}
	if strings.HasPrefix(m.Key, "reminder/") && at.After(start.Add(s.cfg.Grace)) {
		return fmt.Sprintf("and the start was %v", start)
	}
	return ""
}

// expected returns the keys of what must have come, each with "/" and a channel where it has
// to come by that one.
func (j *judge) expected() (keys []string) {
	var each []string
	for _, channel := range j.world.Channels {
		if channel == notify.Email && j.Patient.Email != "" || channel == notify.WhatsApp && j.Patient.Phone != "" {
			each = append(each, string(channel))
		}
	}
	if len(each) == 0 {
		return nil
	}
	doctor := j.Doctor.Email != "" && slices.Contains(j.world.Channels, notify.Email)
	wasBooked := slices.ContainsFunc(j.wanted[j.ID], func(w wanted) bool { return w.Status == visit.StatusBooked })
	if wasBooked && !j.Price.IsZero() {
		keys = append(keys, "receipt")
	}
	switch j.Status {
	case visit.StatusBooked:
		for _, channel := range each {
			keys = append(keys, fmt.Sprintf("booked/%d/%s", j.Generation, channel))
		}
		if doctor {
			keys = append(keys, fmt.Sprintf("doctor/%d", j.Generation))
		}
	case visit.StatusCancelled, visit.StatusGone:
		if wasBooked && !j.Price.IsZero() || j.came("booked/") {
			for _, channel := range each {
				keys = append(keys, "cancelled/"+channel)
			}
		}
		if doctor && j.came("doctor/") {
			keys = append(keys, "doctor-cancelled")
		}
	}
	for _, r := range j.truth.Refunds[j.ID] {
		if r.Status == payments.RefundProcessed {
			keys = append(keys, "refund/"+r.ID+"/done")
		}
	}
	return keys
}

// came reports whether a message came whose key begins so.
func (j *judge) came(prefix string) bool {
	return slices.ContainsFunc(j.messages, func(m outbox.Status) bool {
		return strings.HasPrefix(m.Key, prefix) && j.cameAtAll(m.Key)
	})
}

func (j *judge) cameAtAll(key string) bool {
	return len(j.truth.arrivals(notify.Email, j.ID, key))+len(j.truth.arrivals(notify.WhatsApp, j.ID, key)) > 0
}

// expect judges what must have come. A person who was told instead is enough.
func (j *judge) expect(key string) {
	known := slices.ContainsFunc(j.messages, func(m outbox.Status) bool { return m.Key == key })
	if !known || !j.cameAtAll(key) && !j.toldOf(j.ID, key) {
		j.find(&j.report.Lost, "%s: %s never came", j.ID, key)
	}
}

// timeline tells what is known of a visit, for whoever reads of a problem.
func (j *judge) timeline(ctx context.Context) string {
	var text strings.Builder
	entries, err := j.observer.visits.Timeline(ctx, j.ID)
	for _, e := range entries {
		fmt.Fprintf(&text, "\n\t%s %-7s %s", e.At.Format("01-02 15:04:05.000"), e.Of, e.What)
	}
	for _, m := range j.messages {
		fmt.Fprintf(&text, "\n\t%s is %s %s", m.Key, m.State, m.Reason)
	}
	for item := range j.rows.List(ctx, durable.Filter{}) {
		if strings.Contains(item.ID.Name, j.ID) && (!item.Due.IsZero() || item.Lease.Owner != "") {
			fmt.Fprintf(&text, "\n\t%s is due %s, lease %v, stuck %q", item.ID, item.Due.Format("01-02 15:04:05.000"), item.Lease, item.Stuck)
		}
	}
	fmt.Fprintf(&text, "\n\tit is %s", time.Now().UTC().Format("01-02 15:04:05.000"))
	for _, told := range j.stuck {
		fmt.Fprintf(&text, "\n\ttold: %s %s", told.ID, told.Why)
	}
	return fmt.Sprintf("%s is %s, generation %d, %v%s", j.ID, j.Status, j.Generation, err, text.String())
}
