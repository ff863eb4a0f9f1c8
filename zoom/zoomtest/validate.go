package zoomtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// meetingBody is the body of a create or an update. What is absent stays as it is.
type meetingBody struct {
	Topic     *string        `json:"topic"`
	Type      *int           `json:"type"`
	StartTime *string        `json:"start_time"`
	TimeZone  *string        `json:"timezone"`
	Duration  *int           `json:"duration"`
	Password  *string        `json:"password"`
	Agenda    *string        `json:"agenda"`
	Settings  map[string]any `json:"settings"`
}

// readBody reads and validates a body, or answers with the fields that are wrong.
func readBody(w http.ResponseWriter, r *http.Request) (*meetingBody, bool) {
	var body meetingBody
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, 300, "Request Body should be a valid JSON object.")
		return nil, false
	}
	if fields := body.wrong(); fields != nil {
		refuse(w, http.StatusBadRequest, 300, "Validation Failed.", fields...)
		return nil, false
	}
	return &body, true
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
	for name, allowed := range settingValues {
		value, given := b.Settings[name]
		check(!given || slices.Contains(allowed, value), "settings."+name)
	}
	slices.Sort(fields)
	return fields
}

func fits(text *string, limit int) bool { return text == nil || utf8.RuneCountInString(*text) <= limit }

// settingValues are the values that Zoom takes for a setting.
var settingValues = map[string][]any{
	"waiting_room":     {true, false},
	"join_before_host": {true, false},
	"use_pmi":          {true, false},
	"jbh_time":         {0.0, 5.0, 10.0, 15.0},
	"approval_type":    {0.0, 1.0, 2.0},
	"auto_recording":   {"local", "cloud", "none"},
	"encryption_type":  {"enhanced_encryption", "e2ee"},
	"audio":            {"both", "telephony", "voip", "thirdParty"},
}

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
