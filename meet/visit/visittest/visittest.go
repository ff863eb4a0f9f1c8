package visittest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/payments"
)

// TB is the part of testing.TB that Explore needs.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Config says what is explored.
type Config struct {
	// World makes what outlives processes, anew for each schedule: rows, and the fakes of
	// providers. What these send to the application, webhooks for instance, they send through
	// application, which leads to the handler of a process that lives. Required.
	World func(application http.RoundTripper) (*World, error)
	// Stories are what happens to visits. Required.
	Stories []Story
	// Schedules is how many are lived through, and First the number of the first: the same
	// number is the same schedule, but for what the Go scheduler does. Of four schedules, two
	// have a process die at a point where none has died before, until each point of each story
	// was that once. In the third a page of the application is at work at a point, and the
	// fourth is random. If Schedules is 0, 30.
	Schedules, First int
	// At is a name of Report.Points, to look at a problem again: a process dies there in every
	// schedule. Without its number, "kept: after Put visit", one dies at the first of these
	// points in schedule 0, and so on.
	At string
	// WithoutEvidence are channels that nobody can be asked about whether a message arrived.
	// That one comes twice by them after a death or a lost answer is counted and no problem.
	WithoutEvidence []notify.Channel
	// Grace is visit.Config.Grace, if that is not its default.
	Grace time.Duration
}

// World is the application and what is around it.
type World struct {
	// New builds one process: visits over the rows and fakes of this World, by way of p. The
	// same rows for each. Required.
	New func(p *Process) (*visit.Visits, error)
	// Channels are the ways on which patients are told; doctors are by notify.Email. If empty,
	// nobody is.
	Channels []notify.Channel
	// Pay is the patient on the payment page, with the Options of visit.Checkout. back, if it
	// is not nil, is the browser that comes back from it, which may come never, or twice. Both
	// are nil if the page says that it is paid already. Required if a Story pays.
	Pay func(ctx context.Context, id string, options json.RawMessage) (back func(context.Context) error, err error)
	// Events returns all that providers have had happen by themselves so far, such as
	// webhooks that they are to send. May be nil.
	Events func() []Event
	// Truth returns what the providers have. Required.
	Truth func(ctx context.Context) (Truth, error)
	// Check says what else is wrong at the end, after the visits were looked at. May be nil.
	Check func(ctx context.Context, visits []*visit.Visit) (problems []string)
	// Close ends it. May be nil.
	Close func()
}

// Event is something that happens at a provider by itself.
type Event struct {
	// ID tells it from others. Required.
	ID string
	// Of is what it tells of. The first event of each thing comes, though late and perhaps
	// twice; the others may be lost. If Of is empty, it may be lost too.
	Of string
	// Once has it happen once, After after it was found: a bank that ends a refund.
	Once  bool
	After time.Duration
	// Do has it happen. After an error it is tried again, as providers do. Required.
	Do func(ctx context.Context) error
}

// Truth is what the providers have, whatever anybody says, by the id of the visit.
type Truth struct {
	Meetings map[string][]meet.Meeting     // cancelled ones too, if they can be seen
	Payments map[string][]payments.Payment // captured ones
	Refunds  map[string][]payments.Refund
	// Messages are all that were accepted, with Channel, Reference and At: each as often as
	// the recipient has it.
	Messages []notify.Report
}

// Story is what happens to a visit. Schedules begin at midnight, UTC.
type Story struct {
	// Name is part of the names of points. Required.
	Name string
	// Request is what is booked, with an ID and a Start by Explore. Required.
	Request visit.Request
	// Starts is when the visit starts, after the midnight of its booking. Required.
	Starts time.Duration
	// Pays is when the patient looks at the payment page and pays, after the booking. She looks
	// again twice in the next minutes, and pays again if the page wants it. Zero: never.
	Pays time.Duration
	// Wishes are what is wished of it, in this order.
	Wishes []Wish
}

// Wish is a move or a cancel.
type Wish struct {
	// After is when, after the booking.
	After time.Duration
	// Move is how much later the visit starts.
	Move time.Duration
	// Cancel is who cancels. If empty, it is a move.
	Cancel visit.Actor
}

// Report is what Explore has found.
type Report struct {
	Schedules int
	// Points are those at which a process has died, and how often.
	Points map[string]int
	// Kills counts deaths, Freezes processes that stood still past their leases.
	Kills, Freezes int

	MailTwice, ChatTwice int // further copies of a message
	MeetingTwice         int // visits with more than one meeting
	ChargeTwice          int // visits that were paid more than once
	RefundTwice          int // payments with more than one refund
	Lost                 int // messages that should have arrived and did not
	Ghost                int // messages for an old time, after a cancel, after the start
	NeverEnded           int // visits, messages and rows that wait for nothing
	Stuck                int // messages that a person was told of instead

	// Problems say what must not be: all of the above but Stuck, and what a World's Check
	// says. It is empty if all is well.
	Problems []string
}

// Add adds what another exploration has found.
func (r *Report) Add(other Report) {
	if r.Points == nil {
		r.Points = map[string]int{}
	}
	for name, n := range other.Points {
		r.Points[name] += n
	}
	r.Schedules += other.Schedules
	r.Kills += other.Kills
	r.Freezes += other.Freezes
	r.MailTwice += other.MailTwice
	r.ChatTwice += other.ChatTwice
	r.MeetingTwice += other.MeetingTwice
	r.ChargeTwice += other.ChargeTwice
	r.RefundTwice += other.RefundTwice
	r.Lost += other.Lost
	r.Ghost += other.Ghost
	r.NeverEnded += other.NeverEnded
	r.Stuck += other.Stuck
	r.Problems = append(r.Problems, other.Problems...)
}

// String tells the counts.
func (r Report) String() string {
	return fmt.Sprintf("%d schedules, %d points, %d kills, %d freezes: twice %d mails, %d chats, %d meetings, %d charges, %d refunds; %d lost, %d ghosts, %d never ended, %d stuck",
		r.Schedules, len(r.Points), r.Kills, r.Freezes, r.MailTwice, r.ChatTwice, r.MeetingTwice, r.ChargeTwice, r.RefundTwice, r.Lost, r.Ghost, r.NeverEnded, r.Stuck)
}

// Explore lives through schedules, one after the other, and reports what became of the
// visits in them. Each problem is an error of tb. Call it in a bubble of testing/synctest:
// its days take no time there. A bubble's clock holds 200 years, so that more than a few
// thousand schedules want several bubbles.
func Explore(tb TB, cfg Config) Report {
	tb.Helper()
	if cfg.World == nil || len(cfg.Stories) == 0 {
		tb.Fatalf("visittest: Config.World and Config.Stories are required")
	}
	if cfg.Schedules == 0 {
		cfg.Schedules = 30
	}
	if cfg.Grace == 0 {
		cfg.Grace = 15 * time.Second
	}
	var report Report
	var points []point
	if cfg.At == "" {
		points = cfg.points(&report)
	}
	for n := cfg.First; n < cfg.First+cfg.Schedules && len(report.Problems) < maxProblems; n++ {
		s := newSchedule(cfg, n)
		if cfg.At != "" {
			s.target, s.told = numbered(cfg.At, n), []Story{cfg.story(cfg.At)}
		} else if at, ok := pick(points, n); ok {
			s.target, s.told, s.interrupts = at.name, []Story{at.story}, n%4 == 2
		} else {
			s.randomize()
		}
		report.Add(s.live())
		report.Schedules++
	}
	for _, problem := range report.Problems {
		tb.Errorf("%s", problem)
	}
	return report
}

const maxProblems = 20

// pick returns the point of the nth schedule. Of four schedules two have a process die at a
// point, in one somebody interrupts an exchange with a provider, and one is random. It goes
// in steps over all stories, so that few schedules see something of each.
func pick(points []point, n int) (at point, ok bool) {
	i := 2*(n/4) + n%4
	if n%4 == 2 {
		i = n / 4
		points = slices.DeleteFunc(slices.Clone(points), func(p point) bool { return p.isOfStore() })
	}
	if n%4 == 3 || i >= len(points) {
		return point{}, false
	}
	return points[i*stride(len(points))%len(points)], true
}

// stride is about the golden section of n, and has no divisor with it.
func stride(n int) int {
	for k := max(1, n*5/8); ; k++ {
		if gcd(k, n) == 1 {
			return k
		}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// numbered is the point of the nth schedule.
func numbered(at string, n int) string {
	if last := at[len(at)-1]; last >= '0' && last <= '9' {
		return at
	}
	return fmt.Sprintf("%s %d", at, n+1)
}

// story is the one whose point it is.
func (c Config) story(at string) Story {
	for _, story := range c.Stories {
		if strings.HasPrefix(at, story.Name+": ") {
			return story
		}
	}
	return c.Stories[0]
}

type point struct {
	story Story
	name  string
}

// isOfStore reports whether the point is one of Process.Store, Tokens or Claims.
func (p point) isOfStore() bool {
	_, what, _ := strings.Cut(strings.TrimPrefix(p.name, p.story.Name+": "), " ")
	call, _, _ := strings.Cut(what, " ")
	return slices.Contains([]string{"Get", "Put", "Delete", "Lease", "Claim", "Complete", "Release"}, call)
}

// points lives through each story without a death, and returns where one might have been.
func (c Config) points(report *Report) (all []point) {
	for _, story := range c.Stories {
		s := newSchedule(c, -1)
		s.told = []Story{story}
		found := s.live()
		found.Points = nil
		report.Add(found)
		for _, name := range slices.Sorted(maps.Keys(s.seen)) {
			all = append(all, point{story, name})
		}
	}
	return all
}
