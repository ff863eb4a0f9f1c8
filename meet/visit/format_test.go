package visit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/durable"
)

// keptRow is a row as it was written once.
type keptRow struct {
	ID      durable.ID
	Tenant  string
	Due     time.Time
	EraseAt time.Time
	Version int
	Audit   json.RawMessage
	Data    json.RawMessage
}

// The visits of testdata/rows.json, an hour apart. v-waits is another doctor's, who must
// connect an account again. v-moved and v-cancelled were so wished, and nothing was done yet.
var keptVisits = []string{"v-unpaid", "v-reserved", "v-booked", "v-moved", "v-cancelled", "v-waits"}

func keptRequest(id string) visit.Request {
	req := request(id)
	req.Start = start().Add(time.Duration(slices.Index(keptVisits, id)) * time.Hour)
	if id == "v-waits" {
		req.Price, req.Doctor = payments.Money{}, visit.Doctor{ID: "dr-sen", Name: "Dr Arjun Sen", Email: "sen@lotus.example"}
	}
	return req
}

// TestRowsOfTheFirstFormat: testdata/rows.json was written by the first version of this
// package, of fulfill and of outbox, two minutes after the visits were booked. Whatever the
// formats become, such rows are read, and what is wanted is done, once. Never write the file
// anew.
func TestRowsOfTheFirstFormat(t *testing.T) {
	story(t, nil, func(c *clinic) {
		c.stop()
		c.google.Connect("dr-rao")
		c.load()
		c.start()
		for _, id := range keptVisits {
			require.NoError(c, c.Book(c.Context(), keptRequest(id)), "the same request is the same visit")
		}
		other := request("v-other")
		other.Start = keptRequest("v-booked").Start
		require.ErrorIs(c, c.Book(c.Context(), other), visit.ErrTaken)
		c.google.Connect("dr-sen")
		c.Connected(c.Context(), store.AccountID{Provider: "google", Subject: "dr-sen"}, store.Account{})
		c.wait(10 * time.Second) // it would find out by itself later
		require.NotEmpty(c, c.is("v-waits", visit.StatusBooked).JoinURL)
		c.pay("v-reserved")
		c.wait(20 * time.Minute)

		other.ID, other.Start = "v-later", keptRequest("v-moved").Start
		require.NoError(c, c.Book(c.Context(), other), "the hours are free that it was moved from")
		c.is("v-unpaid", visit.StatusLapsed)
		require.NotEmpty(c, c.is("v-reserved", visit.StatusBooked).JoinURL)
		require.Equal(c, "https://meet.example/v-booked", c.is("v-booked", visit.StatusBooked).JoinURL)
		moved := c.is("v-moved", visit.StatusBooked)
		require.True(c, moved.Start.Equal(keptRequest("v-moved").Start.Add(24*time.Hour)))
		require.NotEmpty(c, moved.JoinURL)
		back := c.is("v-cancelled", visit.StatusCancelled).Refund
		require.Equal(c, visit.Refund{Amount: payments.INR(50000), Status: payments.RefundProcessed}, back)
		require.Len(c, c.meetings(), 4)
		require.Equal(c, map[string]int{"appointment_confirmed": 2, "appointment_rescheduled": 1, "appointment_cancelled": 1}, count(c.chats()))
		require.Equal(c, map[string]int{
			"payment_receipt": 1, "appointment_confirmed": 2, "appointment_rescheduled": 1, "appointment_cancelled": 1, "payment_refunded": 1,
		}, count(names(c.mail.Messages())), "what was told is not told again")

		require.Len(c, c.subjects("sen@lotus.example"), 1, "nobody asks again to connect an account")
		require.NoError(c, c.Move(c.Context(), "v-booked", keptRequest("v-booked").Start.Add(48*time.Hour)))
		c.wait(7 * 24 * time.Hour)
		c.keepsWhatItDoesNotKnow()
		require.Equal(c, 8, count(c.chats())["appointment_reminder"], "two of each visit that takes place")
		require.Empty(c, c.stuck)
	})
}

// load puts the rows as they were, and has the providers know what is in them.
func (c *clinic) load() {
	c.Helper()
	text, err := os.ReadFile("testdata/rows.json")
	require.NoError(c, err)
	var known []string
	for _, id := range keptVisits[1:5] {
		order, err := c.gateway.CreateOrder(c.Context(), payments.OrderRequest{Key: id, Amount: payments.INR(50000)})
		require.NoError(c, err)
		known = append(known, "ORDER-"+id, order.ID)
		if id == "v-reserved" {
			continue
		}
		paid, err := c.gateway.Pay(order.ID)
		require.NoError(c, err)
		made, err := c.google.Create(c.Context(), "dr-rao", meet.Request{Key: id, Start: keptRequest(id).Start, Duration: 30 * time.Minute})
		require.NoError(c, err)
		known = append(known, "PAYMENT-"+id, paid.PaymentID, "MEETING-"+id, made.ID, "LINK-"+id, "https://meet.example/"+id)
	}
	var rows []keptRow
	require.NoError(c, json.Unmarshal([]byte(strings.NewReplacer(known...).Replace(string(text))), &rows))
	for _, r := range rows {
		item := durable.Item{ID: r.ID, Tenant: r.Tenant, Due: r.Due, EraseAt: r.EraseAt, Version: r.Version, Audit: compact(c.T, r.Audit), Data: compact(c.T, r.Data)}
		_, err := c.rows.Put(c.Context(), item)
		require.NoError(c, err)
	}
	time.Sleep(125 * time.Second)
}

// keepsWhatItDoesNotKnow looks for fields of another version, in rows that were changed
// since.
func (c *clinic) keepsWhatItDoesNotKnow() {
	c.Helper()
	for _, id := range []durable.ID{{Kind: visit.RowKind, Name: "v-booked"}, {Kind: visit.DayKind, Name: "2000-01-04/dr-rao"}, {Kind: visit.DoctorKind, Name: "dr-sen"}} {
		item, err := c.rows.Get(c.Context(), id)
		require.NoError(c, err)
		require.Contains(c, string(item.Data), `"later":{"of":"another version"}`, "%v", id)
	}
}

func count(all []string) map[string]int {
	counts := map[string]int{}
	for _, one := range all {
		counts[one]++
	}
	return counts
}

func compact(t *testing.T, data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, data))
	return b.Bytes()
}
