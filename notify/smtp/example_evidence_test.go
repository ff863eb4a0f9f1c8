package smtp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
)

// brevo is a notify.Evidence: it asks Brevo's event API what became of a mail that went
// through smtp-relay.brevo.com with Config.ReferenceHeader "X-Mailin-Tag". Copy it, and
// try it with your own account first: Brevo documents neither the header nor how late an
// event may be listed.
//
// What is known, on 29 November 2026:
//
//   - Brevo replaces the Message-ID, so that one is no use (PHPMailer issue 2859).
//   - X-Mailin-Tag becomes the event's "tag"; several are a JSON array in a string.
//   - X-Mailin-custom comes back in webhooks alone, not in this list.
//   - The parameter tags wants the tag as it is. The array that the reference
//     documents finds nothing, says a program that tried both.
//   - A list without events may lack the field "events". It holds 90 days at most.
//   - The key is an API key, not the SMTP key. Limits are per hour, and tell when they end
//     by x-sib-ratelimit-reset, in seconds.
//
// https://developers.brevo.com/reference/get-email-event-report
type brevo struct {
	baseURL string // https://api.brevo.com
	key     telemed.Secret
	http    *http.Client // with a Timeout
	settle  time.Duration
	now     func() time.Time
}

var _ notify.Evidence = (*brevo)(nil)

// Outcome finds the mail by its tag. That the list does not have it proves nothing by
// itself, since the list is written later than the mail is taken. Not arrived is said only
// if the time to settle has passed, which is longer than any connection lives that could
// still bring the mail, and if the list has a mail that was taken later.
func (b *brevo) Outcome(ctx context.Context, reference string, sent time.Time) (notify.Outcome, error) {
	found, err := b.find(ctx, url.Values{"tags": {reference}}, sent, func(e brevoEvent) bool { return strings.Contains(e.Tag, reference) })
	switch {
	case err != nil:
		return notify.OutcomeUnknown, err
	case found:
		return notify.OutcomeArrived, nil // also if it was blocked then: sending it again changes nothing
	case b.now().Sub(sent) < b.settle:
		return notify.OutcomeUnknown, nil
	}
	after := sent.Add(b.settle)
	later, err := b.find(ctx, url.Values{"event": {"requests"}}, sent, func(e brevoEvent) bool { return e.Date.After(after) })
	if err != nil || !later {
		return notify.OutcomeUnknown, err
	}
	return notify.OutcomeNotArrived, nil
}

type brevoEvent struct {
	Date time.Time `json:"date"`
	Tag  string    `json:"tag"`
}

const (
	brevoPage  = 500
	brevoPages = 20 // per question
)

// find reports whether the list from the day before sent on has an event that match takes,
// newest first. It looks at each event itself: a filter that is ignored must not be
// believed.
func (b *brevo) find(ctx context.Context, query url.Values, sent time.Time, match func(brevoEvent) bool) (bool, error) {
	query.Set("startDate", sent.UTC().AddDate(0, 0, -1).Format(time.DateOnly))
	query.Set("endDate", b.now().UTC().Format(time.DateOnly))
	query.Set("sort", "desc")
	query.Set("limit", strconv.Itoa(brevoPage))
	for page := range brevoPages {
		query.Set("offset", strconv.Itoa(page*brevoPage))
		events, err := b.list(ctx, query)
		if err != nil {
			return false, err
		}
		for _, e := range events {
			if match(e) {
				return true, nil
			}
		}
		if len(events) < brevoPage {
			return false, nil
		}
	}
	return false, &brevoError{kind: telemed.ErrUnavailable} // not seen whole: that is no answer
}

func (b *brevo) list(ctx context.Context, query url.Values) ([]brevoEvent, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.baseURL+"/v3/smtp/statistics/events?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("api-key", b.key.Reveal())
	req.Header.Set("Accept", "application/json")
	resp, err := b.http.Do(req)
	if err != nil {
		// err has the URL in it, and that the reference.
		return nil, &brevoError{kind: telemed.ErrUnavailable, cause: context.Cause(ctx)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, newBrevoError(resp)
	}
	var answer struct{ Events []brevoEvent }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(&answer); err != nil {
		return nil, &brevoError{status: resp.StatusCode, kind: telemed.ErrUnavailable}
	}
	return answer.Events, nil
}

// brevoError says why Brevo could not be asked, without a word of Brevo's.
type brevoError struct {
	status int
	wait   time.Duration
	kind   error
	cause  error // of the context, or nil
}

func newBrevoError(resp *http.Response) error {
	e := &brevoError{status: resp.StatusCode, kind: telemed.ErrUnavailable}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		e.kind = telemed.ErrUnauthorized
	case http.StatusForbidden:
		e.kind = telemed.ErrForbidden
	case http.StatusBadRequest:
		e.kind = telemed.ErrInvalid
	case http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(resp.Header.Get("X-Sib-Ratelimit-Reset"))
		e.kind, e.wait = telemed.ErrRateLimited, time.Duration(min(max(0, seconds), 3600))*time.Second
	}
	return e
}

func (e *brevoError) Error() string {
	return fmt.Sprintf("brevo: events: status %d: %v", e.status, e.kind)
}
func (e *brevoError) Unwrap() []error           { return []error{e.kind, e.cause} }
func (e *brevoError) RetryDelay() time.Duration { return e.wait }

// A mail's answer was lost. The relay's event API knows whether it has the mail. The
// reader of that API is in this example, and works against Brevo's.
func Example_evidence() {
	_ = smtp.Config{
		Addr: "smtp-relay.brevo.com:587", From: "Clinic <care@clinic.example>",
		ReferenceHeader: "X-Mailin-Tag",
	}
	reference := notify.Reference("appt-42/confirmed") // what that header says

	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("tags") == reference {
			fmt.Fprintf(w, `{"events":[{"date":"2026-03-02T05:00:04Z","event":"delivered","tag":%q}]}`, reference)
		}
	}))
	defer api.Close()
	evidence := &brevo{
		baseURL: api.URL, key: telemed.NewSecret("xkeysib-1"), http: &http.Client{Timeout: 10 * time.Second},
		settle: 30 * time.Minute, now: func() time.Time { return time.Date(2026, 3, 2, 5, 2, 0, 0, time.UTC) },
	}
	outcome, err := evidence.Outcome(context.Background(), reference, time.Date(2026, 3, 2, 5, 0, 0, 0, time.UTC))
	fmt.Println(outcome == notify.OutcomeArrived, err)
	// Output: true <nil>
}
