package googlemeet

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"google.golang.org/api/calendar/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/store"
)

// call is one method at work for one doctor.
type call struct {
	*Client
	op      string
	id      store.AccountID
	account string // Google's id of the connected account; empty if the token does not tell
	events  *calendar.EventsService
	sent    *exchange
}

// begin returns the call for a doctor. A service costs about a microsecond, so none is
// kept.
func (c *Client) begin(ctx context.Context, op, doctorID string) (*call, error) {
	id := accountID(doctorID)
	token, err := c.tokens.Token(ctx, id)
	if err != nil {
		_, err = rest.Result(nil, err)
		return nil, newError(op, err)
	}
	client := c.tokens.Client(id, c.http)
	sent := &exchange{base: client.Transport}
	client.Transport = sent
	service, err := calendar.NewService(ctx,
		option.WithHTTPClient(client),
		option.WithEndpoint(c.cfg.Endpoints.Calendar),
		option.WithLogger(slog.New(slog.DiscardHandler)), // else an environment variable prints bodies
	)
	if err != nil {
		return nil, &Error{Op: op, kind: telemed.ErrUnavailable, err: err}
	}
	return &call{Client: c, op: op, id: id, account: token.Account.ID, events: service.Events, sent: sent}, nil
}

// exchange sits under Google's library, which builds requests and decodes events. It
// keeps what became of the last request, since the library drops most of it.
type exchange struct {
	base   http.RoundTripper
	answer *rest.Answer
	err    error // a *rest.Error
}

// RoundTrip implements http.RoundTripper.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	response, err := x.base.RoundTrip(req)
	if x.answer, x.err = rest.Result(response, err); x.err != nil {
		return nil, x.err
	}
	return response, nil
}

// answer returns what became of the last request, for which the library returned err. Its
// errors are *rest.Error.
func (k *call) answer(err error) (*rest.Answer, error) {
	sent := *k.sent
	*k.sent = exchange{base: sent.base}
	switch {
	case sent.err != nil:
		return nil, sent.err
	case sent.answer == nil: // the library sent nothing
		return rest.Result(nil, err)
	case err != nil: // it could not read the answer, and says so by quoting it
		return nil, sent.answer.Misfit(errNotEvent)
	}
	return sent.answer, nil
}

func accountID(doctorID string) store.AccountID {
	return store.AccountID{Provider: ProviderName, Subject: doctorID}
}

// ids names what is wrong with the ids of a call. An event's id must not climb: DELETE
// …/events/.. would be the calendar.
func (p *problems) ids(doctorID string, meetingID *string) {
	for _, field := range telemed.Fields(accountID(doctorID).Validate()) {
		p.Add("doctorID", "%s", field.Problem)
	}
	switch {
	case meetingID == nil:
	case *meetingID == "":
		p.Add("meetingID", "is required")
	case !eventID(*meetingID):
		p.Add("meetingID", "is not the id of an event")
	}
}

// request names what is wrong with a request, as its Validate found.
func (p *problems) request(invalid error) {
	for _, field := range telemed.Fields(invalid) {
		p.Add(field.Field, "%s", field.Problem)
	}
}

// problems collects what is wrong with the arguments of a method.
type problems struct{ fault.Problems }

// fields are what is asked for of an event: no more than is read.
const (
	fields = "id,etag,status,summary,start,end,hangoutLink,creator/self,extendedProperties/private," +
		"conferenceData(createRequest/status,entryPoints(entryPointType,uri))"
	fieldsWithAttendees = fields + ",attendees,attendeesOmitted"
)

// insert may be repeated: the event's id is ours.
func (k *call) insert(ctx context.Context, event *calendar.Event) (*calendar.Event, error) {
	made, err := k.events.Insert(k.cfg.Calendar, event).ConferenceDataVersion(1).SendUpdates(notify(event.Attendees)).
		Fields(fields).Context(rest.Repeatable(ctx)).Do()
	return k.event(made, event.Id, err)
}

func (k *call) get(ctx context.Context, id string, fields googleapi.Field) (*calendar.Event, error) {
	event, err := k.events.Get(k.cfg.Calendar, id).Fields(fields).Context(ctx).Do()
	return k.event(event, id, err)
}

// patch changes old, if it is still as it was read. It may be repeated: the second time
// finds another etag. Google wants conferenceDataVersion in every change of an event that
// has a room.
func (k *call) patch(ctx context.Context, old, change *calendar.Event, sendUpdates string) (*calendar.Event, error) {
	request := k.events.Patch(k.cfg.Calendar, old.Id, change).ConferenceDataVersion(1).SendUpdates(sendUpdates).
		Fields(fields).Context(rest.Repeatable(ctx))
	if old.Etag != "" {
		request.Header().Set("If-Match", old.Etag)
	}
	event, err := request.Do()
	return k.event(event, old.Id, err)
}

// event refuses what is well-formed, and yet not the event with the id: null, an empty
// object, another event.
func (k *call) event(event *calendar.Event, id string, err error) (*calendar.Event, error) {
	answer, err := k.answer(err)
	if err == nil && (event == nil || event.Id != id) {
		err = answer.Misfit(errNotEvent)
	}
	if err != nil {
		return nil, newError(k.op, err)
	}
	return event, nil
}

func (k *call) delete(ctx context.Context, id string) error {
	err := k.events.Delete(k.cfg.Calendar, id).SendUpdates(notifyAll).Context(ctx).Do()
	if _, err := k.answer(err); err != nil {
		return newError(k.op, err)
	}
	return nil
}

// hasStatus reports whether Google answered one of the statuses.
func hasStatus(err error, statuses ...int) bool {
	e, ok := err.(*Error)
	return ok && slices.Contains(statuses, e.Status)
}

// isGone reports whether Google says that there is no such event. A 404 that is somebody
// else's, a proxy's for instance, is another error.
func isGone(err error) bool {
	e, ok := err.(*Error)
	return ok && errors.Is(e.kind, telemed.ErrNotFound)
}

// wasHere reports whether Google says that the event was in this calendar, and is deleted.
func wasHere(err error) bool { return isGone(err) && hasStatus(err, http.StatusGone) }
