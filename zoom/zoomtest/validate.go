package zoomtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// meetingBody is the body of a create or an update. What is absent stays as it is.
type meetingBody struct {
	Topic            *string        `json:"topic"`
	Type             *int           `json:"type"`
	StartTime        *string        `json:"start_time"`
	TimeZone         *string        `json:"timezone"`
	Duration         *int           `json:"duration"`
	Password         *string        `json:"password"`
	GeneratePassword *bool          `json:"default_password"`
	Agenda           *string        `json:"agenda"`
	ScheduleFor      *string        `json:"schedule_for"`
	PreSchedule      *bool          `json:"pre_schedule"`
	Settings         map[string]any `json:"settings"`

	// What the fake does not have.
	Recurrence     any `json:"recurrence"`
	TemplateID     any `json:"template_id"`
	TrackingFields any `json:"tracking_fields"`
}

// readBody reads and validates a body for a meeting of user, or answers with the fields
// that are wrong.
func readBody(w http.ResponseWriter, r *http.Request, user User) (*meetingBody, bool) {
	var body meetingBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			refuse(w, http.StatusBadRequest, 300, "Validation Failed.", wrong.Field)
		} else {
			refuse(w, http.StatusBadRequest, 300, "Request Body should be a valid JSON object.")
		}
		return nil, false
	}
	if fields := body.wrong(); fields != nil {
		refuse(w, http.StatusBadRequest, 300, "Validation Failed.", fields...)
		return nil, false
	}
	if what := body.absent(); what != "" {
		absent(w, what)
		return nil, false
	}
	if name := body.ScheduleFor; name != nil && *name != user.ID && !strings.EqualFold(*name, user.Email) {
		absent(w, "assistants who schedule for others (schedule_for)")
		return nil, false
	}
	if r.Method == http.MethodPatch && body.GeneratePassword != nil {
		// It is of a create alone.
		refuse(w, http.StatusBadRequest, 300, "Validation Failed.", "default_password")
		return nil, false
	}
	return &body, true
}

// absent says what of the body the fake does not have.
func (b *meetingBody) absent() string {
	switch {
	case b.Type != nil && (*b.Type == 3 || *b.Type == 8), b.Recurrence != nil:
		return "recurring meetings"
	case b.TemplateID != nil:
		return "templates (template_id)"
	case b.TrackingFields != nil:
		return "tracking fields"
	}
	return ""
}

func (b *meetingBody) wrong() []string {
	var fields []string
	check := func(ok bool, field string) {
		if !ok {
			fields = append(fields, field)
		}
	}
	check(fits(b.Topic, 200), "topic")
	check(fits(b.Agenda, 2000), "agenda")
	check(fits(b.Password, 10), "password")
	check(b.Type == nil || slices.Contains([]int{1, 2, 3, 8, 10}, *b.Type), "type")
	check(b.Duration == nil || *b.Duration >= 1 && *b.Duration <= 1440, "duration")
	if b.TimeZone != nil {
		_, err := time.LoadLocation(*b.TimeZone)
		check(err == nil && *b.TimeZone != "" && *b.TimeZone != "Local", "timezone")
	}
	maps.DeleteFunc(b.Settings, func(name string, value any) bool { return value == nil || !knownSetting(name) })
	for name, value := range b.Settings {
		check(settingFits(name, value), "settings."+name)
	}
	slices.Sort(fields)
	return fields
}

func fits(text *string, limit int) bool { return text == nil || utf8.RuneCountInString(*text) <= limit }

// The two forms of start_time that Zoom reads.
const (
	utcForm   = "2006-01-02T15:04:05Z"
	localForm = "2006-01-02T15:04:05"
)

// start reads start_time. As with Zoom, what it cannot read, and what is past, is nothing
// it complains about.
func (b *meetingBody) start(now time.Time) (time.Time, bool) {
	at, err := strict(utcForm, *b.StartTime, time.UTC)
	if err != nil && b.TimeZone != nil {
		zone, zoneErr := time.LoadLocation(*b.TimeZone)
		if zoneErr != nil {
			return time.Time{}, false
		}
		at, err = strict(localForm, *b.StartTime, zone)
	}
	if err != nil || at.Before(now) {
		return time.Time{}, false
	}
	return at.UTC(), true
}

// strict refuses the fractions that time.Parse takes in any layout.
func strict(layout, text string, zone *time.Location) (time.Time, error) {
	if len(text) != len(layout) {
		return time.Time{}, &time.ParseError{Layout: layout, Value: text}
	}
	return time.ParseInLocation(layout, text, zone)
}

// newUUID looks like Zoom's: base64, now and then with a slash in it.
func newUUID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base64.StdEncoding.EncodeToString(raw[:])
}
