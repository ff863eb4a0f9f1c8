package googlemeet

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"google.golang.org/api/calendar/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
)

// call is one method at work for one doctor.
type call struct {
	*Client
	op     string
	events *calendar.EventsService
}

// begin returns the call for a doctor. A service costs about a microsecond, so none is kept.
func (c *Client) begin(ctx context.Context, op, doctorID string) (*call, error) {
	service, err := calendar.NewService(ctx,
		option.WithHTTPClient(c.tokens.Client(accountID(doctorID), c.http)),
		option.WithEndpoint(c.cfg.Endpoints.Calendar),
		option.WithLogger(slog.New(slog.DiscardHandler)), // else an environment variable prints bodies
	)
	if err != nil {
		return nil, &Error{Op: op, kind: telemed.ErrUnavailable, err: err}
	}
	return &call{Client: c, op: op, events: service.Events}, nil
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

// request names what is wrong with a request at the time now.
func (p *problems) request(req meet.Request, now time.Time) {
	for _, field := range telemed.Fields(req.Validate(now)) {
		p.Add(field.Field, "%s", field.Problem)
	}
}

// problems collects what is wrong with the arguments of a method.
type problems struct{ fault.Problems }

// fields are what is asked for of an event: no more than is read.
const (
	fields = "id,etag,status,summary,start,end,hangoutLink,extendedProperties/private," +
		"conferenceData(createRequest/status,entryPoints(entryPointType,uri))"
	fieldsWithAttendees = fields + ",attendees"
)

// insert may be repeated: the event's id is ours.
func (k *call) insert(ctx context.Context, event *calendar.Event) (*calendar.Event, error) {
	if err := begun(ctx); err != nil {
		return nil, failed(k.op, err, true)
	}
	made, err := k.events.Insert(k.cfg.Calendar, event).ConferenceDataVersion(1).SendUpdates(notify(event.Attendees)).
		Fields(fields).Context(rest.Repeatable(ctx)).Do()
	return k.outcome(made, event.Id, err, true)
}

func (k *call) get(ctx context.Context, id string, fields googleapi.Field) (*calendar.Event, error) {
	if err := begun(ctx); err != nil {
		return nil, failed(k.op, err, false)
	}
	event, err := k.events.Get(k.cfg.Calendar, id).Fields(fields).Context(ctx).Do()
	return k.outcome(event, id, err, false)
}

// patch changes old, if it is still as it was read. It may be repeated: the second
// time finds another etag. Google wants conferenceDataVersion in every change of an event that has a room.
func (k *call) patch(ctx context.Context, old, change *calendar.Event, sendUpdates string) (*calendar.Event, error) {
	if err := begun(ctx); err != nil {
		return nil, failed(k.op, err, true)
	}
	request := k.events.Patch(k.cfg.Calendar, old.Id, change).ConferenceDataVersion(1).SendUpdates(sendUpdates).
		Fields(fields).Context(rest.Repeatable(ctx))
	if old.Etag != "" {
		request.Header().Set("If-Match", old.Etag)
	}
	event, err := request.Do()
	return k.outcome(event, old.Id, err, true)
}

// outcome refuses what is well-formed, and yet not the event with the id: null, an empty object, another event.
func (k *call) outcome(event *calendar.Event, id string, err error, write bool) (*calendar.Event, error) {
	if err == nil && (event == nil || event.Id != id) {
		err = errNotEvent
	}
	if err != nil {
		return nil, failed(k.op, err, write)
	}
	return event, nil
}

func (k *call) delete(ctx context.Context, id string) error {
	if err := begun(ctx); err != nil {
		return failed(k.op, err, true)
	}
	if err := k.events.Delete(k.cfg.Calendar, id).SendUpdates(notifyAll).Context(ctx).Do(); err != nil {
		return failed(k.op, err, true)
	}
	return nil
}

// hasStatus reports whether Google answered one of the statuses.
func hasStatus(err error, statuses ...int) bool {
	e, ok := err.(*Error)
	return ok && slices.Contains(statuses, e.Status)
}

// isGone reports whether Google says that there is no such event. A 404 without a reason is somebody
// else's, a proxy's for instance, and proves nothing.
func isGone(err error) bool {
	e, ok := err.(*Error)
	return ok && e.Reason != "" && hasStatus(err, http.StatusNotFound, http.StatusGone)
}
