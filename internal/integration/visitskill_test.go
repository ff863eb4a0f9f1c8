package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/store/durable"
)

// firstReminder is how long after the booking the first reminder goes out.
const firstReminder = 25 * time.Second

// TestVisitsUnderFire kills and freezes the processes of one clinic, through which
// patients book, pay, move and cancel. No visit has a second meeting, charge, refund, mail
// or WhatsApp message, none is lost, nobody is reminded of what does not take place, and a
// booking that the application rolls back leaves nothing.
func TestVisitsUnderFire(t *testing.T) {
	t.Parallel()
	for _, d := range append(databases[:3:3], database{name: "MongoDB's wire protocol", dsn: wireMongo}) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			hits := min(max(20, int(*killFor/(3*time.Second))), 400)
			w := newVisitsWar(t, d, hits)
			for n := range hits {
				// Two at a time in the first half: what they send takes a while.
				for range min(2, hits-len(w.visits)) {
					w.book(len(w.visits))
				}
				time.Sleep(time.Duration(w.random.Int64N(int64(300 * time.Millisecond))))
				if n%2 == 0 {
					w.killOne()
				} else {
					w.freeze()
				}
				w.pays()
				w.wishes(4) // but for those that are under way
			}
			w.wishes(0)
			w.thaws.Wait()
			for _, v := range w.visits {
				w.ends(v)
			}
			stopAll(t, w.running)
			w.judge()
			t.Logf("%d visits, %d kills, %d freezes; %d answers to processes that were dead", len(w.visits), w.killed, hits-w.killed, w.lost.Load())
		})
	}
}

// killOne kills a process, and starts another one in its place.
func (w *visitsWar) killOne() {
	w.Helper()
	i := w.target()
	p := w.running[i]
	w.mu.Lock()
	delete(w.addresses, p.name)
	w.mu.Unlock()
	require.NoError(w, p.cmd.Process.Signal(syscall.SIGKILL))
	for range p.reports {
	}
	require.ErrorContains(w, p.cmd.Wait(), "signal: killed", "%s ended by itself: %s", p.name, &p.stderr)
	w.killed++
	w.running[i] = w.join()
}

// page asks for a visit's page, which must have this status.
func (w *visitsWar) page(want int, method, id string, form url.Values) (shown struct {
	Status   string
	JoinURL  string `json:"join_url"`
	Checkout struct {
		OrderID string `json:"order_id"`
	}
}) {
	w.Helper()
	status, answer := w.ask(method, "/visits/"+id, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
	require.Equal(w, want, status, "%s %s: %s\n%s", method, id, answer, w.complaints())
	require.NoError(w, json.Unmarshal(answer, &shown))
	return shown
}

// complaints are the last words of each process.
func (w *visitsWar) complaints() (all string) {
	for _, p := range w.running {
		text := p.stderr.String()
		all += p.name + ": " + text[max(0, len(text)-2000):] + "\n"
	}
	return all
}

// book books the nth visit, and maybe one that is rolled back.
func (w *visitsWar) book(n int) {
	w.Helper()
	v := &warVisit{n: n, id: fmt.Sprintf("visit-%05d", n)}
	v.start = time.Now().UTC().Truncate(time.Second).Add(24*time.Hour + time.Duration(n/visitDoctors)*time.Hour + firstReminder)
	v.request = visit.Request{
		ID: v.id, Tenant: "lotus", Provider: providerOf(n), Start: v.start, Duration: 30 * time.Minute,
		Doctor:  visit.Doctor{ID: doctorOf(n), Name: "Dr Meera Rao", Email: doctorOf(n) + "@lotus.example"},
		Patient: visit.Patient{Name: "Asha Verma", Email: v.email(), Phone: v.phone(), Zone: "Asia/Kolkata"},
	}
	if v.fate() == visitKeptToo {
		other := v.request
		other.ID = "ghost-" + v.id
		w.page(http.StatusInternalServerError, http.MethodPut, other.ID, bookForm(w.T, other, "yes"))
	}
	w.page(http.StatusOK, http.MethodPut, v.id, bookForm(w.T, v.request, ""))
	w.visits = append(w.visits, v)
}

func bookForm(t *testing.T, req visit.Request, rollback string) url.Values {
	t.Helper()
	text, err := json.Marshal(req)
	require.NoError(t, err)
	return url.Values{"request": {string(text)}, "rollback": {rollback}}
}

// pays pays what was booked. The browser of every second patient does not come back.
func (w *visitsWar) pays() {
	w.Helper()
	for ; w.paid < len(w.visits); w.paid++ {
		w.pay(w.visits[w.paid])
	}
}

func (w *visitsWar) pay(v *warVisit) {
	w.Helper()
	shown := w.page(http.StatusOK, http.MethodGet, v.id, nil)
	paid, err := w.razorpay.Pay(shown.Checkout.OrderID)
	require.NoError(w, err)
	if v.n%2 == 0 {
		return
	}
	form := url.Values{"razorpay_payment_id": {paid.PaymentID}, "razorpay_order_id": {paid.OrderID}, "razorpay_signature": {paid.Signature}}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	status, answer := w.ask(http.MethodPost, "/payments/callback", header, []byte(form.Encode()))
	require.Less(w, status, 300, "%s", answer)
}

// wishes moves and cancels the visits that are to be, but for the last few, whatever is
// under way for them.
func (w *visitsWar) wishes(but int) {
	w.Helper()
	for ; w.wished < len(w.visits)-but; w.wished++ {
		w.wish(w.visits[w.wished])
	}
}

func (w *visitsWar) wish(v *warVisit) {
	w.Helper()
	switch v.fate() {
	case visitMoved:
		v.start = v.start.Add(7 * 24 * time.Hour)
		w.page(http.StatusOK, http.MethodPatch, v.id, url.Values{"start": {v.start.Format(time.RFC3339)}})
		v.wished = time.Now()
	case visitCancelled:
		w.page(http.StatusOK, http.MethodDelete, v.id, nil)
		v.wished = time.Now()
	}
}

// messages are the states of what patient and doctor are told, by key.
func (w *visitsWar) messages(id string) map[string]outbox.Status {
	all, _ := w.queue.Get(w.Context(), id) // none yet
	byKey := map[string]outbox.Status{}
	for _, m := range all {
		byKey[m.Key] = m
	}
	return byKey
}

// wanted are the messages that must have arrived at the end. Who cancels before the payment
// is known hears of the money alone.
func (v *warVisit) wanted(messages map[string]outbox.Status) (keys []string) {
	_, receipt := messages["receipt"]
	switch {
	case v.fate() == visitMoved:
		return []string{"receipt", "booked/2/email", "booked/2/whatsapp", "doctor/2"}
	case v.takesPlace():
		return []string{"receipt", "booked/1/email", "booked/1/whatsapp", "doctor/1"}
	case receipt:
		keys = []string{"receipt", "cancelled/email", "cancelled/whatsapp"}
	}
	for key := range messages {
		if strings.HasSuffix(key, "/done") {
			return append(keys, key)
		}
	}
	return append(keys, "the refund")
}

func arrived(m outbox.Status) bool { return m.State == outbox.Sent || m.State == outbox.Delivered }

// ends waits until nothing is to be done about a visit before the next reminder.
func (w *visitsWar) ends(v *warVisit) {
	w.Helper()
	state := map[string]any{}
	defer func() {
		if w.Failed() {
			w.Log(w.complaints())
		}
	}()
	eventually(w.T, func() bool {
		shown, messages := w.page(http.StatusOK, http.MethodGet, v.id, nil), w.messages(v.id)
		state["visit"], state["page"], state["messages"] = v.id, shown, messages
		for _, m := range messages {
			waits := m.State == outbox.Due && m.At.After(time.Now().Add(30*time.Minute))
			if !waits && !arrived(m) && m.State != outbox.Dropped {
				return false
			}
		}
		for _, key := range v.wanted(messages) {
			if !arrived(messages[key]) {
				return false
			}
		}
		for _, kind := range []string{visit.RowKind, visit.MessagesKind} {
			item, err := w.app.rows.Get(w.Context(), durable.ID{Kind: kind, Name: v.id})
			require.NoError(w, err)
			if item.Lease.Owner != "" || !item.Due.IsZero() && item.Due.Before(time.Now().Add(30*time.Minute)) {
				return false
			}
		}
		if v.takesPlace() {
			return shown.Status == "booked" && shown.JoinURL != ""
		}
		return shown.Status == "cancelled"
	}, &state)
}

// judge looks at what the providers have, once all has ended.
func (w *visitsWar) judge() {
	w.Helper()
	known, reminders := map[string]bool{}, 0
	chats := map[string][]whatsapptest.Message{}
	for _, m := range w.whatsapp.Messages() {
		chats[m.Reference] = append(chats[m.Reference], m)
	}
	for _, v := range w.visits {
		for key, m := range w.messages(v.id) {
			reference := notify.Reference(v.id + "/" + key)
			known[reference] = true
			mails, chat := len(w.mails(reference)), chats[reference]
			require.LessOrEqual(w, mails, 1, "%s %s: mail twice", v.id, key)
			require.LessOrEqual(w, len(chat), 1, "%s %s: WhatsApp twice", v.id, key)
			require.True(w, !arrived(m) || mails+len(chat) == 1, "%s %s: lost, or on two channels: %+v", v.id, key, m)
			if m.Category == outbox.Reminder && len(chat) > 0 {
				reminders++
				late := !v.wished.IsZero() && chat[0].At.After(v.wished.Add(evidenceWait))
				require.False(w, late, "%s %s: a ghost", v.id, key)
			}
		}
		w.judgeMoney(v)
		w.judgeLive(v)
	}
	for _, m := range w.mail.Messages() {
		require.True(w, known[m.Header.Get(referenceHeader)], "a mail that nobody queued: %s", m.Subject)
	}
	for reference := range chats {
		require.True(w, known[reference], "a message that nobody queued")
	}
	require.Positive(w, reminders)
	require.Empty(w, w.stuck)
	w.judgeMeetings()
	w.judgeRows()
}

// judgeMoney looks at the orders, payments and refunds of a visit.
func (w *visitsWar) judgeMoney(v *warVisit) {
	w.Helper()
	orders, err := w.gateway.OrdersByKey(w.Context(), v.id)
	require.NoError(w, err)
	require.Len(w, orders, 1, "%s: a second charge", v.id)
	paid, err := w.gateway.OrderPayments(w.Context(), orders[0].ID)
	require.NoError(w, err)
	require.Len(w, paid, 1)
	refunds, err := w.gateway.PaymentRefunds(w.Context(), paid[0].ID)
	require.NoError(w, err)
	if v.takesPlace() {
		require.Empty(w, refunds, "%s", v.id)
		return
	}
	require.Len(w, refunds, 1, "%s: lost, or a second refund", v.id)
	require.Equal(w, int64(50000), refunds[0].Amount.Minor)
}

// judgeLive looks at what the dashboard shows last.
func (w *visitsWar) judgeLive(v *warVisit) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	type face struct {
		Generation int
		Status     string
		Start      time.Time
	}
	want := face{1, "booked", v.start}
	switch v.fate() {
	case visitMoved:
		want.Generation = 2
	case visitCancelled:
		want = face{2, "cancelled", v.start}
	}
	var last face
	for _, e := range w.shown[v.id] {
		require.Equal(w, "clinic-lotus", e.Room)
		var now face
		require.NoError(w, json.Unmarshal(e.Data, &now))
		if now.Generation >= last.Generation {
			last = now
		}
	}
	if v.fate() == visitCancelled && last.Generation == 0 {
		return // it was cancelled before it was booked
	}
	require.Equal(w, want, last, "%s", v.id)
}

// judgeMeetings compares the calendars with the visits.
func (w *visitsWar) judgeMeetings() {
	w.Helper()
	want, have := map[string]int{}, map[string]int{}
	for _, v := range w.visits {
		if v.takesPlace() {
			want[v.request.Provider+" "+v.start.Format(time.RFC3339)]++
		}
	}
	for _, e := range w.google.Events() {
		if e.Status != "cancelled" {
			have["google "+e.Start.UTC().Format(time.RFC3339)]++
		}
	}
	for _, m := range w.zoom.Meetings() {
		if !m.Deleted {
			have["zoom "+m.Start.UTC().Format(time.RFC3339)]++
		}
	}
	require.Equal(w, want, have)
	require.LessOrEqual(w, len(w.google.Events())+len(w.zoom.Meetings()), len(w.visits), "a second meeting")
}

// judgeRows looks for what was rolled back, and for what has not ended.
func (w *visitsWar) judgeRows() {
	w.Helper()
	for item, err := range w.app.rows.(durable.Lister).List(w.Context(), durable.Filter{}) {
		require.NoError(w, err)
		require.NotContains(w, item.ID.Name+string(item.Data), "ghost-")
		require.Empty(w, item.Stuck, "%v", item.ID)
		require.Empty(w, item.Lease.Owner, "%v", item.ID)
		later := item.Due.IsZero() || item.Due.After(time.Now().Add(10*time.Minute))
		require.True(w, later || item.ID.Kind == visit.BillKind, "%v is still due", item.ID)
	}
	for _, v := range w.visits {
		for id, want := range map[string]bool{v.id: true, "ghost-" + v.id: false} {
			has, err := w.app.has(w.Context(), id)
			require.NoError(w, err)
			require.Equal(w, want, has, "%s: the application's own row", id)
		}
	}
}
