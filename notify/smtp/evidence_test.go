package smtp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// brevoAPI is Brevo's event API as far as it is known: newest first, a page of limit
// events from offset on, filters by the tag as it is and by the kind of event.
type brevoAPI struct {
	events      []map[string]string // oldest first
	hides       time.Duration       // events this young are not listed yet
	now         time.Time
	ignoresTags bool
	status      int
	body        string
	asked       int
}

func (a *brevoAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.asked++
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	offset, _ := strconv.Atoi(q.Get("offset"))
	switch {
	case r.URL.Path != "/v3/smtp/statistics/events":
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Header.Get("api-key") != "xkeysib-1":
		w.WriteHeader(http.StatusUnauthorized)
		return
	case q.Get("startDate") == "" || q.Get("endDate") < q.Get("startDate") || q.Has("days"):
		w.WriteHeader(http.StatusBadRequest)
		return
	case a.status != 0:
		w.Header().Set("X-Sib-Ratelimit-Reset", "120")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
		return
	}
	var found []map[string]string
	for _, e := range slices.Backward(a.events) {
		at, _ := time.Parse(time.RFC3339, e["date"])
		day := at.Format(time.DateOnly)
		if a.now.Sub(at) < a.hides || day < q.Get("startDate") || day > q.Get("endDate") ||
			q.Get("event") != "" && e["event"] != q.Get("event") || !a.ignoresTags && q.Get("tags") != "" && e["tag"] != q.Get("tags") {
			continue
		}
		found = append(found, e)
	}
	found = found[min(offset, len(found)):]
	found = found[:min(limit, len(found))]
	answer := map[string]any{}
	if len(found) > 0 {
		answer["events"] = found
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// ask sends a question about reference and returns what came of it.
func (a *brevoAPI) ask(t *testing.T, reference string, sent time.Time) (notify.Outcome, error) {
	t.Helper()
	server := httptest.NewServer(a)
	defer server.Close()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	b := &brevo{baseURL: server.URL, key: telemed.NewSecret("xkeysib-1"), http: client, settle: 30 * time.Minute, now: func() time.Time { return a.now }}
	return b.Outcome(t.Context(), reference, sent)
}

func event(at time.Time, kind, tag string) map[string]string {
	return map[string]string{"date": at.Format(time.RFC3339), "event": kind, "tag": tag, "email": "asha@example.org", "subject": "Zkmark"}
}

func TestEvidenceOfARelay(t *testing.T) {
	t.Parallel()
	ref, other := notify.Reference("appt-42/confirmed"), notify.Reference("appt-43/confirmed")
	sent := time.Date(2026, 3, 2, 23, 50, 0, 0, time.UTC)
	later := sent.Add(45 * time.Minute) // the next day
	crowd := make([]map[string]string, 1201)
	for i := range crowd {
		crowd[i] = event(sent.Add(time.Second), "requests", other)
	}
	for name, c := range map[string]struct {
		api  brevoAPI
		want notify.Outcome
	}{
		"delivered":                        {brevoAPI{now: sent.Add(2 * time.Minute), events: []map[string]string{event(sent, "requests", ref)}}, notify.OutcomeArrived},
		"blocked":                          {brevoAPI{now: later, events: []map[string]string{event(sent, "blocked", ref)}}, notify.OutcomeArrived},
		"among several tags":               {brevoAPI{now: later, ignoresTags: true, events: []map[string]string{event(sent, "requests", `["visit","`+ref+`"]`)}}, notify.OutcomeArrived},
		"empty list, soon":                 {brevoAPI{now: sent.Add(2 * time.Minute)}, notify.OutcomeUnknown},
		"others only, soon":                {brevoAPI{now: sent.Add(2 * time.Minute), ignoresTags: true, events: []map[string]string{event(sent, "requests", other)}}, notify.OutcomeUnknown},
		"empty list, for long":             {brevoAPI{now: later.Add(time.Hour)}, notify.OutcomeUnknown},
		"the list stands still":            {brevoAPI{now: later.Add(time.Hour), events: []map[string]string{event(sent.Add(29*time.Minute), "requests", other)}}, notify.OutcomeUnknown},
		"listed late":                      {brevoAPI{now: later.Add(time.Minute), hides: 40 * time.Minute, events: []map[string]string{event(sent.Add(time.Minute), "requests", ref)}}, notify.OutcomeArrived},
		"hidden still":                     {brevoAPI{now: later.Add(time.Minute), hides: 2 * time.Hour, events: []map[string]string{event(sent, "requests", ref), event(later, "requests", other)}}, notify.OutcomeUnknown},
		"a later mail is there":            {brevoAPI{now: later.Add(time.Minute), events: []map[string]string{event(later, "requests", other)}}, notify.OutcomeNotArrived},
		"somebody opened a mail later":     {brevoAPI{now: later.Add(time.Minute), events: []map[string]string{event(later, "opened", other)}}, notify.OutcomeUnknown},
		"on the third page":                {brevoAPI{now: later, ignoresTags: true, events: append([]map[string]string{event(sent, "requests", ref)}, crowd...)}, notify.OutcomeArrived},
		"a filter that is ignored":         {brevoAPI{now: later.Add(time.Minute), ignoresTags: true, events: append(crowd[:700:700], event(later, "requests", other))}, notify.OutcomeNotArrived},
		"a filter that is ignored, so far": {brevoAPI{now: sent.Add(time.Minute), ignoresTags: true, events: crowd}, notify.OutcomeUnknown},
	} {
		got, err := c.api.ask(t, ref, sent)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
		if strings.HasSuffix(name, ", soon") {
			require.Equal(t, 1, c.api.asked, "%s: nothing could be learnt from a later mail yet", name)
		}
	}
}

// TestEvidenceThatCannotBeHad: a question without an answer is an error, never "not
// arrived", and says when to ask again.
func TestEvidenceThatCannotBeHad(t *testing.T) {
	t.Parallel()
	sent := time.Date(2026, 3, 2, 5, 0, 0, 0, time.UTC)
	ref := notify.Reference("appt-42/confirmed")
	for status, want := range map[int]error{
		401: telemed.ErrUnauthorized, 403: telemed.ErrForbidden, 400: telemed.ErrInvalid, 429: telemed.ErrRateLimited, 500: telemed.ErrUnavailable, 404: telemed.ErrUnavailable,
	} {
		api := brevoAPI{now: sent.Add(time.Hour), status: status, body: `{"message":"Zkmark asha@example.org"}`}
		got, err := api.ask(t, ref, sent)
		require.Equal(t, notify.OutcomeUnknown, got)
		require.ErrorIs(t, err, want, status)
		require.NotContains(t, err.Error(), "Zkmark")
		if status == 429 {
			require.Equal(t, 2*time.Minute, notify.RetryAfter(err))
		}
	}
	for _, body := range []string{"", "<html>", `{"events":[{"date":"2026-`, `{"events":{}}`} {
		api := brevoAPI{now: sent.Add(time.Hour), status: 200, body: body}
		got, err := api.ask(t, ref, sent)
		require.Equal(t, notify.OutcomeUnknown, got, body)
		require.ErrorIs(t, err, telemed.ErrUnavailable, body)
	}
	crowd := brevoAPI{now: sent.Add(time.Minute), ignoresTags: true}
	for range 10_001 {
		crowd.events = append(crowd.events, event(sent, "requests", "x"))
	}
	got, err := crowd.ask(t, ref, sent)
	require.Equal(t, notify.OutcomeUnknown, got)
	require.ErrorIs(t, err, telemed.ErrUnavailable, "a list that was not read to its end")
	require.Equal(t, 20, crowd.asked)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &brevo{baseURL: "http://127.0.0.1:1", key: telemed.NewSecret("xkeysib-1"), http: &http.Client{}, now: func() time.Time { return sent }}
	_, err = b.Outcome(ctx, ref, sent)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, strings.Contains(err.Error(), ref), "the URL stays out of the error")
}
