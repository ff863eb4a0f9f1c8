package outbox_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/store/durable"
)

// Some schedules find what fails often. .ci/run lives through hundreds, and its
// word long through ten thousand.
var (
	schedules = flag.Int("schedules", 12, "random schedules of messages")
	firstSeed = flag.Int("schedules.first", 0, "the first of them")
)

var full = mode{mailEvidence: true, reports: true}

// TestSchedules lives through random schedules of messages: three processes that are killed
// and stand still, answers that are lost, channels that refuse, reports that come late, twice
// and in any order, visits that are moved and cancelled in the middle. With evidence for
// both channels nothing arrives twice, and nothing is lost.
func TestSchedules(t *testing.T) {
	t.Parallel()
	total := map[string]int{}
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			for seed := *firstSeed + part; seed < *firstSeed+*schedules; seed += parts {
				w := live(t, uint64(seed), full)
				require.Emptyf(t, strings.Join(w.problems, "\n"), "schedule %d", seed)
				w.count(total)
			}
		})
	}
	t.Log(total)
	if *schedules >= 100 {
		for _, state := range []outbox.State{outbox.Sent, outbox.Delivered, outbox.Dropped} {
			require.Positivef(t, total[string(state)], "no message ended %s", state)
		}
		require.Greater(t, total["kills"], *schedules/4)
		require.Zero(t, total["twice by email"]+total["twice by whatsapp"])
	}
}

// TestSchedulesWithoutEvidence counts what no outbox can prevent.
func TestSchedulesWithoutEvidence(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]mode{"mail": {reports: true}, "both": {}} {
		total := map[string]int{}
		for seed := *firstSeed; seed < *firstSeed+*schedules; seed += 3 {
			w := live(t, uint64(seed), m)
			require.Emptyf(t, strings.Join(w.problems, "\n"), "schedule %d", seed)
			w.count(total)
		}
		t.Log("without evidence for", name, total)
		require.Positive(t, total["twice by email"], "kill points that double nothing prove nothing")
	}
}

// TestSchedulesOfOneDeath kills a process at each operation of one schedule, before and after
// each call of the store, each request to Meta, each write and read of a mail, in turn.
func TestSchedulesOfOneDeath(t *testing.T) {
	t.Parallel()
	stride := 1
	if *schedules < 500 {
		stride = 37
	}
	for _, seed := range []uint64{1, 2} {
		points := 0
		for at := 1; ; at += stride {
			w := liveWith(t, seed, full, func(w *world) {
				w.kills, w.freezes = []int{at}, nil
				w.chat.Reset()
				w.mail.Reset()
			})
			require.Emptyf(t, strings.Join(w.problems, "\n"), "death at operation %d", at)
			require.Zero(t, w.doubled[notify.WhatsApp]+w.doubled[notify.Email])
			if w.killed == 0 {
				break
			}
			points++
		}
		t.Log(points, "kill points")
		require.Greater(t, points*stride, 100)
	}
}

func (w *world) count(total map[string]int) {
	for _, v := range w.visits {
		for _, s := range w.status(v.group) {
			total[string(s.State)]++
		}
	}
	total["kills"] += w.killed
	total["operations"] += w.ops
	for channel, n := range w.doubled {
		total["twice by "+string(channel)] += n
	}
}

func live(t *testing.T, seed uint64, m mode) (w *world) {
	t.Helper()
	return liveWith(t, seed, m, func(*world) {})
}

func liveWith(t *testing.T, seed uint64, m mode, change func(w *world)) (w *world) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(seed, m)
		change(w)
		for _, v := range w.visits {
			w.plan(v)
		}
		w.live(time.Now().Add(9 * 24 * time.Hour))
		w.stop()
		w.all.Wait()
		w.check()
		w.chat.Close()
		w.mail.Close()
	})
	return w
}

func newWorld(seed uint64, m mode) *world {
	r := rand.New(rand.NewPCG(seed, 11))
	chat, err := whatsapptest.Start(whatsapptest.Config{InMemory: true})
	if err != nil {
		panic(err)
	}
	mail, err := smtptest.Start(smtptest.Config{Addr: "mail.clinic.example:25", InMemory: true, NoStartTLS: true, Greylist: r.IntN(4) == 0})
	if err != nil {
		panic(err)
	}
	w := &world{
		mode: m, begin: time.Now(), r: r, chat: chat, mail: mail, rows: durable.NewMemory(), running: make([]*process, 3),
		told: map[string]bool{}, failed: map[string]bool{}, asked: map[string]int{}, doubled: map[notify.Channel]int{},
	}
	for range r.IntN(5) {
		w.kills = append(w.kills, 1+r.IntN(400))
	}
	for range max(r.IntN(4)-1, 0) {
		w.freezes = append(w.freezes, 1+r.IntN(400))
	}
	for range r.IntN(3) {
		chat.FailNext([]whatsapptest.Fault{
			{LoseAnswer: true}, {LoseRequest: true}, {Cut: true}, whatsapptest.Refuse("", 0, 131056, ""), whatsapptest.Refuse("", 0, 131026, ""),
			whatsapptest.Refuse("", 0, 131016, ""), whatsapptest.Refuse("", 0, 190, ""), whatsapptest.Refuse("", 0, 131031, ""), {Delay: 5 * time.Second},
		}[r.IntN(9)])
	}
	for range r.IntN(3) {
		mail.FailNext([]smtptest.Fault{
			{Op: smtptest.OpData, LoseAnswer: true}, {Op: smtptest.OpData, LoseRequest: true}, {Op: smtptest.OpData, Cut: true},
			{Op: smtptest.OpMail, Status: 421, Body: "4.3.2 later"}, {Op: smtptest.OpRcpt, Status: 550, Body: "5.1.1 nobody"}, {Op: smtptest.OpData, Delay: 5 * time.Second},
		}[r.IntN(6)])
	}
	for n := range 1 + r.IntN(2) {
		w.visits = append(w.visits, &visit{group: fmt.Sprintf("visit-%d-%d", seed, n), dropped: map[int]time.Time{}})
	}
	return w
}

// span is a random time up to d, mostly a short one.
func (w *world) span(d time.Duration) time.Duration {
	x := float64(w.n(1<<20)) / (1 << 20)
	return time.Duration(float64(d) * x * x * x)
}

// plan says what happens to a visit.
func (w *world) plan(v *visit) {
	w.todo = append(w.todo, event{time.Now().Add(w.span(time.Hour)), func() { w.tell(v, "confirmed") }})
	if w.n(2) == 0 {
		w.later(w.span(40*time.Hour), func() { w.tell(v, "moved") })
	}
	if w.n(3) == 0 {
		w.later(w.span(60*time.Hour), func() { w.tell(v, "cancelled") })
	}
}

// tell is the application: a visit is confirmed, moved or cancelled. What is said of it
// before is dropped, and there are reminders of what is.
func (w *world) tell(v *visit, what string) {
	w.mu.Lock()
	v.generation++
	generation, now := v.generation, time.Now()
	w.mu.Unlock()
	say := func(key string, change ...func(*outbox.Message)) outbox.Message {
		key = fmt.Sprintf("%s-%d", key, generation)
		m := message(key, change...)
		m.Group, m.Generation, m.Content = v.group, generation, words(v.group+"/"+key)
		if w.n(4) == 0 {
			m.Channels = []notify.Channel{notify.Email}
		}
		return m
	}
	start := now.Add(30*time.Hour + w.span(24*time.Hour))
	said := []outbox.Message{say(what)}
	if what != "cancelled" {
		for _, before := range []time.Duration{24 * time.Hour, time.Hour} {
			said = append(said, say(fmt.Sprint("in-", before), of(outbox.Reminder), func(m *outbox.Message) {
				m.NotBefore, m.NotAfter, m.Latest = start.Add(-before), start, start.Add(-2*time.Hour)
			}))
		}
	}
	if w.n(4) == 0 {
		said = append(said, say("otp", of(outbox.Once), func(m *outbox.Message) { m.Generation = 0 }))
	}
	w.write(v, generation, said)
}

// write says it until it is written down.
func (w *world) write(v *visit, generation int, said []outbox.Message) {
	p := w.any()
	err := p.box.Enqueue(context.Background(), said...)
	if err == nil {
		err = p.box.Drop(context.Background(), v.group, generation)
	}
	if isFinal(err) {
		if err != nil {
			w.problem("%v", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		v.enqueued = append(v.enqueued, said...)
		v.dropped[generation] = time.Now()
		return
	}
	w.later(time.Duration(1+w.n(20))*time.Second, func() { w.write(v, generation, said) })
}

// live lets things happen until end, in whatever order they fall due.
func (w *world) live(end time.Time) {
	for {
		w.deliver()
		next := w.next()
		if next.IsZero() || next.After(end) {
			return
		}
		if pause := time.Until(next); pause > 2*time.Minute {
			w.stop() // nothing happens: let nobody look for it
			time.Sleep(pause)
		}
		w.any() // all three run
		for _, do := range w.due() {
			w.all.Go(do)
		}
		time.Sleep(time.Duration(500+w.n(2000)) * time.Millisecond)
	}
}

// next is when something is to be done.
func (w *world) next() (next time.Time) {
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for item := range w.rows.List(context.Background(), durable.Filter{}) {
		sooner(item.Due)
		if item.Lease.Owner != "" {
			sooner(time.Now())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.todo {
		sooner(e.at)
	}
	return next
}

// due takes what is to happen now, in any order.
func (w *world) due() (all []func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.todo = slices.DeleteFunc(w.todo, func(e event) bool {
		if e.at.After(time.Now()) {
			return false
		}
		all = append(all, e.do)
		return true
	})
	w.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// deliver puts what Meta tells on its way. One report of each message comes before its
// outcome is given up; the others never, once or several times, late and in any order.
func (w *world) deliver() {
	all := w.chat.Messages()
	for _, m := range all[w.seen:] {
		states := []notify.ReportState{notify.ReportDelivered, notify.ReportRead}
		if w.n(8) == 0 {
			states = []notify.ReportState{notify.ReportFailed}
			w.mu.Lock()
			w.failed[m.Reference] = true
			w.mu.Unlock()
		}
		if !w.reports {
			continue
		}
		w.later(w.span(90*time.Second), func() { w.report(m, notify.ReportSent) })
		for _, state := range states {
			for range []int{0, 1, 1, 2}[w.n(4)] {
				w.later(w.span(3*time.Hour), func() { w.report(m, state) })
			}
		}
	}
	w.seen = len(all)
}

// report is what Meta tells, again until it is kept.
func (w *world) report(m whatsapptest.Message, state notify.ReportState) {
	r := notify.Report{Channel: notify.WhatsApp, Reference: m.Reference, ID: m.ID, State: state, At: time.Now()}
	if w.any().box.Report(context.Background(), r) != nil {
		w.later(time.Duration(1+w.n(10))*time.Second, func() { w.report(m, state) })
	}
}

func (w *world) status(group string) []outbox.Status {
	box, err := outbox.New(outbox.Config{Store: w.rows, Channels: map[notify.Channel]notify.Notifier{notify.Email: nowhere}})
	if err != nil {
		panic(err)
	}
	all, err := box.Get(context.Background(), group)
	if err != nil && !isFinal(err) {
		panic(err)
	}
	return all
}
