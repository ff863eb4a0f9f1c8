package visittest_test

import (
	"flag"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/meet/visit/visittest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/payments"
)

// Some schedules find what fails often. .ci/run lives through five hundred, and its word
// long through ten thousand.
var (
	schedules = flag.Int("schedules", 24, "schedules of visits whose processes die")
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
		{Name: "cancelled later", Request: request("zoom", 31, 40000), Starts: 3*day + ten, Pays: time.Minute, Wishes: []visittest.Wish{{After: 2*day + 5*time.Hour, Cancel: visit.ByPatient}}},
		{Name: "cancelled at once", Request: request("google", 32, 30000), Starts: 2*day + ten, Pays: 20 * time.Second, Wishes: []visittest.Wish{{After: 28 * time.Second, Cancel: visit.ByClinic}}},
		{Name: "free", Request: request("zoom", 33, 0), Starts: 2*day + ten + time.Hour, Wishes: []visittest.Wish{{After: 3 * time.Second, Move: 2 * time.Hour}}},
		{Name: "walk-in", Request: request("", 34, 20000), Starts: day + ten, Pays: time.Minute},
		{Name: "never paid", Request: request("zoom", 35, 20000), Starts: 2*day + ten},
	}
}

func explore(t *testing.T, evidence bool, from, n int) (found visittest.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := visittest.Config{
			World:   func(door http.RoundTripper) (*visittest.World, error) { return newWorld(door, evidence) },
			Stories: stories(), First: from, Schedules: n, At: *at,
		}
		if !evidence {
			cfg.WithoutEvidence = []notify.Channel{notify.Email}
		}
		found = visittest.Explore(t, cfg)
	})
	return found
}

// inOneBubble is how many schedules share the clock of a bubble.
const inOneBubble = 1000

func TestSchedules(t *testing.T) {
	t.Parallel()
	var all visittest.Report
	for from := *first; from < *first+*schedules; from += inOneBubble {
		all.Add(explore(t, true, from, min(inOneBubble, *first+*schedules-from)))
	}
	fmt.Println(all)
	require.Empty(t, all.Problems)
}
