package visittest_test

import (
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/racetest"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/meet/visit/visittest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/payments"
)

// Some schedules find what fails often. .ci/run lives through hundreds, and its word
// long through ten thousand.
var (
	schedules = flag.Int("schedules", 3, "schedules of visits whose processes die")
	first     = flag.Int("schedules.first", 0, "the first of them")
	at        = flag.String("schedules.at", "", "the point at which a process dies in all of them")
)

func request(provider string, minutes int, price int64) visit.Request {
	req := visit.Request{
		Tenant: "lotus", Provider: provider, Duration: time.Duration(minutes) * time.Minute,
		Doctor:  visit.Doctor{ID: doctorID, Name: "Dr Meera Rao", Email: "rao@lotus.example"},
		Patient: visit.Patient{Name: "Asha Verma", Email: "asha@example.org", Phone: "+919876543210", Zone: "Asia/Kolkata"},
	}
	if price > 0 {
		req.Price = payments.INR(price)
	}
	return req
}

const (
	day = 24 * time.Hour
	ten = 4*time.Hour + 30*time.Minute // in Kolkata, in UTC
)

// stories are those of the README's table.
func stories() []visittest.Story {
	return []visittest.Story{
		{Name: "kept", Request: request("google", 30, 50000), Starts: 3*day + ten, Pays: time.Minute, Wishes: []visittest.Wish{{After: day, Move: day}}},
		{Name: "cancelled later", Request: request("zoom", 31, 40000), Starts: 3*day + ten, Pays: time.Minute, Wishes: []visittest.Wish{{After: 2*day + 8*time.Hour, Cancel: visit.ByPatient}}},
		{Name: "cancelled at once", Request: request("google", 32, 30000), Starts: 2*day + ten, Pays: 20 * time.Second, Wishes: []visittest.Wish{{After: 28 * time.Second, Cancel: visit.ByClinic}}},
		{Name: "free", Request: request("zoom", 33, 0), Starts: 2*day + ten + time.Hour, Wishes: []visittest.Wish{{After: 3 * time.Second, Move: 2 * time.Hour}}},
		{Name: "walk-in", Request: request("", 34, 20000), Starts: day + ten, Pays: time.Minute},
		{Name: "never paid", Request: request("zoom", 35, 20000), Starts: 2*day + ten},
	}
}

// explore lives through schedules, in as many bubbles as their days need. A point, if one is
// given, is where all processes die.
func explore(t *testing.T, evidence bool, from, n int, point string) (all visittest.Report) {
	t.Helper()
	const inOneBubble = 1000
	for end := from + n; from < end; from += inOneBubble {
		synctest.Test(t, func(t *testing.T) {
			cfg := visittest.Config{
				World: setup{evidence: evidence}.world, Stories: stories(), First: from, Schedules: min(inOneBubble, end-from), At: point,
			}
			if !evidence {
				cfg.WithoutEvidence = []notify.Channel{notify.Email}
			}
			all.Add(visittest.Explore(t, cfg))
		})
	}
	return all
}

// TestSchedules is what the README's table says: nothing comes twice, and nothing is lost.
func TestSchedules(t *testing.T) {
	t.Parallel()
	found := explore(t, true, *first, *schedules, *at)
	t.Log(found)
	if *at == "" && *schedules >= 500 {
		require.GreaterOrEqual(t, len(found.Points), 300)
	}
}

// TestSchedulesWithoutEvidence: nobody can be asked about mail. A death behind the send, or a
// lost answer, doubles it then, and nothing else.
func TestSchedulesWithoutEvidence(t *testing.T) {
	t.Parallel()
	t.Log(explore(t, false, *first, max(2, *schedules/5), *at))
}

// TestDiesBehindTheSend: where each process dies behind a mail that it sent, some mails come
// twice without evidence, and none with it.
func TestDiesBehindTheSend(t *testing.T) {
	t.Parallel()
	const point = "kept: after SMTP write"
	var without visittest.Report
	for from := 0; from < 40 && without.MailTwice == 0; from += 4 {
		without.Add(explore(t, false, from, 4, point))
	}
	with := explore(t, true, 0, racetest.Fewer(10, 4), point)
	t.Log(without)
	t.Log(with)
	require.Positive(t, without.MailTwice)
	require.Zero(t, with.MailTwice)
	require.Positive(t, with.Kills)
}
