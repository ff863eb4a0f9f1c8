package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// count is how many visits the hospital has.
func (w *ward) count(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, w.h.rows.QueryRowContext(t.Context(), `SELECT count(*) FROM visits`).Scan(&n))
	return n
}

// told is how many messages of the visit have reached the patient.
func (w *ward) told(t *testing.T) (n int) {
	t.Helper()
	all, err := w.h.visits.Messages(t.Context(), w.is(t).ID)
	require.NoError(t, err)
	for _, m := range all {
		require.NotEqual(t, outbox.Stuck, m.State, m.Key)
		require.NotEqual(t, outbox.Failed, m.State, m.Key)
		if !strings.HasPrefix(m.Key, "doctor/") && (m.State == outbox.Sent || m.State == outbox.Delivered) {
			n++
		}
	}
	return n
}

func TestBadInputAtEachDoor(t *testing.T) {
	w := start(t)
	form := func(change ...string) url.Values {
		values := w.form("google", "en")
		for i := 0; i < len(change); i += 2 {
			values.Set(change[i], change[i+1])
		}
		return values
	}
	const notOffered = "is not one of the doctor&#39;s times"
	now := time.Now()
	morning := hours(now.AddDate(0, 0, 1))[0]
	tests := map[string]struct {
		path string
		form url.Values
		code int
		text string
	}{
		"no name":            {"/book", form("name", " "), 400, "is required"},
		"long name":          {"/book", form("name", strings.Repeat("n", 201)), 400, "is longer than"},
		"name of two lines":  {"/book", form("name", "a\r\nBcc: x@y.org"), 400, "control characters"},
		"named address":      {"/book", form("email", "A <a@b.org>"), 400, "is not an e-mail address"},
		"two addresses":      {"/book", form("email", "a@b.org,c@d.org"), 400, "is not an e-mail address"},
		"national number":    {"/book", form("phone", "09876543210"), 400, "E.164"},
		"unknown zone":       {"/book", form("zone", "Mars/Olympus"), 400, "IANA name of a zone"},
		"zone of the server": {"/book", form("zone", "Local"), 400, "IANA name of a zone"},
		"zone as a path":     {"/book", form("zone", "../../etc/passwd"), 400, "IANA name of a zone"},
		"past":               {"/book", form("start", "2001-01-01T10:00:00Z"), 400, "is over"},
		"far future":         {"/book", form("start", "2199-01-01T10:00:00+05:30"), 400, notOffered},
		"at night":           {"/book", form("start", morning.Add(-6*time.Hour).Format(time.RFC3339)), 400, notOffered},
		"when it closes":     {"/book", form("start", morning.Add((lastHour-firstHour)*time.Hour).Format(time.RFC3339)), 400, notOffered},
		"between two times":  {"/book", form("start", morning.Add(10*time.Minute).Format(time.RFC3339)), 400, notOffered},
		"a second late":      {"/book", form("start", morning.Add(time.Second).Format(time.RFC3339)), 400, notOffered},
		"next week":          {"/book", form("start", morning.AddDate(0, 0, daysAhead).Format(time.RFC3339)), 400, notOffered},
		"no zone":            {"/book", form("start", morning.Format("2006-01-02T15:04")), 400, "must be a time of the list"},
		"garbage date":       {"/book", form("start", "soon"), 400, "must be a time of the list"},
		"no date":            {"/book", form("start", ""), 400, "must be a time of the list"},
		"unknown provider":   {"/book", form("provider", "skype"), 400, "is not connected"},
		"empty":              {"/book", nil, 400, "is required"},
		"oversized":          {"/book", form("name", strings.Repeat("n", 70000)), 413, "65536 bytes"},
		"oversized payment":  {"/payments/callback", form("name", strings.Repeat("n", 70000)), 413, ""},
		"garbage payment":    {"/payments/callback", url.Values{"a": {"b"}}, 400, ""},
		"empty payment":      {"/payments/callback", nil, 400, ""},
		"strange order": {"/payments/callback", url.Values{"razorpay_order_id": {"order_AAAAAAAAAAAAAA"}, "razorpay_payment_id": {"pay_AAAAAAAAAAAAAA"},
			"razorpay_signature": {strings.Repeat("0", 64)}}, 400, ""},
		"no such visit":          {"/visits/visit-guess/cancel", nil, 404, "no such visit"},
		"no such visit to move":  {"/visits/visit-guess/reschedule", url.Values{"start": {"2030-01-01T10:00:00Z"}}, 404, "no such visit"},
		"unsigned webhook":       {"/webhooks/razorpay", nil, 401, ""},
		"path climbing":          {"/visits/..%2f..%2fetc/cancel", nil, 404, "no such visit"},
		"a doctor without login": {"/api/auth/zoom/doctor/disconnect", nil, 401, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := w.patient.post(test.path, test.form)
			require.NoError(t, err)
			require.Equal(t, test.code, got.code, got.body)
			require.Contains(t, got.body, test.text)
		})
	}
	require.Zero(t, w.count(t))
	require.Empty(t, w.Mail.Messages())
	require.Empty(t, w.Google.Events())
	require.Zero(t, w.Razorpay.Count(razorpaytest.OpCreateOrder))
}

// A form that is sent again books nothing more; one that was changed does.
func TestOneFormIsOneVisit(t *testing.T) {
	w := start(t)
	page, err := w.patient.get("/book")
	require.NoError(t, err)
	form := w.form("zoom", "en")
	form.Set("form", hidden.FindStringSubmatch(page.body)[2])
	pages := make([]string, 4)
	var clicks sync.WaitGroup
	for i := range pages {
		clicks.Go(func() {
			page, err := w.patient.post("/book", form)
			if err != nil {
				t.Error(err)
			}
			pages[i] = page.path
		})
	}
	clicks.Wait()
	require.Equal(t, 1, w.count(t))
	for _, page := range pages {
		require.Equal(t, pages[0], page)
	}
	form.Set("name", "Asha Verma's mother")
	form.Set("start", w.form("zoom", "en").Get("start"))
	page, err = w.patient.post("/book", form)
	require.NoError(t, err)
	require.NotEqual(t, pages[0], page.path)
	require.Equal(t, 2, w.count(t))
}

func TestPagesThatAreNotThere(t *testing.T) {
	w := booked(t, "zoom")
	for _, path := range []string{"/nothing", "/payments/callback", w.visit + "/cancel", w.visit + "/reschedule"} {
		page, err := w.patient.get(path)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, page.code, path)
		require.Contains(t, page.body, "There is no such page.", path)
	}
	w.change(t, "/cancel", nil)
	page := w.change(t, "/reschedule", url.Values{"start": {w.is(t).Start.Add(time.Hour).Format(time.RFC3339)}})
	require.Equal(t, http.StatusConflict, page.code)
	require.Contains(t, page.body, `href="`+w.visit+`"`)
}

// Whoever the form lets through can be written to: nobody pays and then hears nothing.
func TestWhoBooksCanBeWrittenTo(t *testing.T) {
	w := start(t)
	tests := map[string]struct{ field, value string }{
		"name with a mark that reverses": {"name", "Asha \u202everma"},
		"name with an isolate":           {"name", "Asha \u2066Verma"},
		"long name in Hindi":             {"name", strings.Repeat("आ", 80)},
		"name in Hindi":                  {"name", strings.Repeat("आ", 66)},
		"name of emoji":                  {"name", strings.Repeat("🙂", 80)},
		"name with gaps":                 {"name", "A" + strings.Repeat(" ", 70) + "V"},
		"name that is markup":            {"name", "<b>*Asha* _Verma_</b>"},
		"domain with an underscore":      {"email", "a@b_c.org"},
		"domain with a hyphen":           {"email", "a@-b.org"},
		"domain in Hindi":                {"email", "asha@उदाहरण.भारत"},
		"address literal":                {"email", "a@[192.0.2.1]"},
		"long local part":                {"email", strings.Repeat("a", 65) + "@example.org"},
		"short number":                   {"phone", "+1234567"},
		"long number":                    {"phone", "+123456789012345"},
	}
	for name, test := range tests {
		form := w.form("zoom", "hi")
		form.Set(test.field, test.value)
		own := *w.walk
		own.patient = newBrowser(w.base) // who pays comes back to the page of the last cookie
		w := &ward{walk: &own, h: w.h}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer w.patient.close()
			page, err := w.patient.post("/book", form)
			require.NoError(t, err)
			if page.code == http.StatusBadRequest {
				require.Contains(t, page.body, `id="wrong-`+test.field+`"`)
				return
			}
			w.visit = page.path
			w.who = visitor{Name: form.Get("name"), Email: w.who.Email, Phone: w.who.Phone}
			w.pays(t)
			w.waits(t, "told", func() bool { return w.told(t) == 3 })
		})
	}
}

func TestOtherSitesMayNotPost(t *testing.T) {
	w := booked(t, "zoom")
	for _, path := range []string{"/book", "/logout", w.visit + "/cancel", "/api/auth/zoom/doctor/disconnect"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.base+path, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", "https://evil.example")
		req.Header.Set("Cookie", w.staff.cookies())
		resp, err := w.patient.client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusForbidden, resp.StatusCode, path)
	}
	require.Equal(t, visit.StatusBooked, w.is(t).Status)
}

// Each address that takes a form is bounded.
func TestLongForm(t *testing.T) {
	w := start(t)
	for _, path := range []string{
		"/book", "/login", "/logout", "/visits/x/reschedule", "/visits/x/cancel", "/payments/callback", "/api/auth/zoom/doctor/disconnect",
	} {
		answer, err := http.Post(w.base+path, "application/x-www-form-urlencoded", strings.NewReader(strings.Repeat("a", maxForm+1)))
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode, path)
	}
}

func TestMoveToABadTime(t *testing.T) {
	w := booked(t, "zoom")
	before := w.is(t)
	for _, start := range []string{"", "soon", "2001-01-01T10:00:00Z", "2199-01-01T10:00:00Z", before.Start.Add(time.Minute).Format(time.RFC3339)} {
		page := w.change(t, "/reschedule", url.Values{"start": {start}})
		require.Equal(t, http.StatusBadRequest, page.code, start)
		require.Contains(t, page.body, `id="wrong-start"`)
	}
	require.Equal(t, before.Start, w.is(t).Start)
	require.Equal(t, 1, w.is(t).Generation)
}
