package googlemeet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// discovery is Google's own description of the Calendar API, as it lies beside its Go
// library. What we send and what our fake answers is checked against it: neither of us
// wrote it. See https://developers.google.com/discovery/v1/type-format.
type discovery struct {
	ServicePath string
	Parameters  map[string]schema
	Schemas     map[string]schema
	Resources   map[string]struct{ Methods map[string]*method }
}

type method struct {
	ID, Path, HTTPMethod string
	Parameters           map[string]schema
	Request, Response    schema
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type, Format         string
	Location             string
	Enum                 []string
	Minimum, Maximum     string
	Properties           map[string]schema
	Items                *schema
	AdditionalProperties *schema
	Annotations          struct{ Required []string }
}

var loadDiscovery = sync.OnceValues(func() (*discovery, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "calendar", "v3", "calendar-api.json"))
	if err != nil {
		return nil, err
	}
	doc := &discovery{}
	return doc, json.Unmarshal(data, doc)
})

// checkRequest returns what the API does not know.
func (d *discovery) checkRequest(httpMethod string, u *url.URL, body []byte) []string {
	m := d.method(httpMethod, u.EscapedPath())
	if m == nil {
		return []string{"no method of the API is " + httpMethod + " " + u.EscapedPath()}
	}
	var problems []string
	for name, values := range u.Query() {
		param, known := m.Parameters[name]
		if !known || param.Location != "query" {
			if param, known = d.Parameters[name]; !known {
				problems = append(problems, m.ID+": unknown parameter "+name)
				continue
			}
		}
		for _, value := range values {
			problems = append(problems, param.checkText(name, value)...)
		}
	}
	if m.Request.Ref == "" {
		if len(body) > 0 {
			problems = append(problems, m.ID+": has no body")
		}
		return problems
	}
	return append(problems, d.checkBody(m, m.Request, body, httpMethod == http.MethodPost)...)
}

// checkResponse returns what Google would not answer.
func (d *discovery) checkResponse(httpMethod string, u *url.URL, body []byte) []string {
	m := d.method(httpMethod, u.EscapedPath())
	if m == nil || m.Response.Ref == "" {
		return nil
	}
	return d.checkBody(m, m.Response, body, false)
}

func (d *discovery) checkBody(m *method, s schema, body []byte, complete bool) []string {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var doc any
	if err := decoder.Decode(&doc); err != nil {
		return []string{m.ID + ": body is not JSON"}
	}
	problems := d.check(m.ID, s, doc)
	if object, ok := doc.(map[string]any); ok && complete {
		for name, property := range d.Schemas[s.Ref].Properties {
			if slices.Contains(property.Annotations.Required, m.ID) && object[name] == nil {
				problems = append(problems, m.ID+": "+name+" is required")
			}
		}
	}
	return problems
}

func (d *discovery) method(httpMethod, path string) *method {
	path, ok := strings.CutPrefix(path, "/"+d.ServicePath)
	if !ok {
		return nil
	}
	for _, resource := range d.Resources {
		for _, m := range resource.Methods {
			pattern := "^" + regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(m.Path), `[^/]+`) + "$"
			if m.HTTPMethod == httpMethod && regexp.MustCompile(pattern).MatchString(path) {
				return m
			}
		}
	}
	return nil
}

// check compares a JSON value with its schema. null is allowed: a patch removes by it.
func (d *discovery) check(at string, s schema, value any) []string {
	if s.Ref != "" {
		s = d.Schemas[s.Ref]
	}
	switch value := value.(type) {
	case nil:
		return nil
	case map[string]any:
		if s.Type != "object" {
			return []string{at + ": is an object, not " + s.Type}
		}
		var problems []string
		for name, inner := range value {
			property, known := s.Properties[name]
			if !known && s.AdditionalProperties == nil {
				problems = append(problems, at+": unknown property "+name)
				continue
			}
			if !known {
				property = *s.AdditionalProperties
			}
			problems = append(problems, d.check(at+"."+name, property, inner)...)
		}
		return problems
	case []any:
		if s.Type != "array" {
			return []string{at + ": is a list, not " + s.Type}
		}
		var problems []string
		for i, inner := range value {
			problems = append(problems, d.check(fmt.Sprintf("%s[%d]", at, i), *s.Items, inner)...)
		}
		return problems
	case bool:
		return wantType(at, "boolean", s.Type)
	case json.Number:
		if s.Type == "number" {
			return nil
		}
		return append(wantType(at, "integer", s.Type), s.checkText(at, value.String())...)
	case string:
		if s.Type != "string" {
			return wantType(at, "string", s.Type)
		}
		return s.checkText(at, value)
	}
	return []string{at + ": cannot be"}
}

func wantType(at, got, want string) []string {
	if got != want {
		return []string{at + ": is " + got + ", not " + want}
	}
	return nil
}

func (s schema) checkText(at, text string) []string {
	bad := func(err error) []string {
		if err != nil {
			return []string{at + ": " + err.Error()}
		}
		return nil
	}
	switch {
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, text):
		return []string{at + ": " + text + " is none of " + strings.Join(s.Enum, ", ")}
	case s.Type == "boolean" && text != "true" && text != "false":
		return []string{at + ": is not a boolean"}
	case s.Type == "integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if minimum, e := strconv.ParseInt(s.Minimum, 10, 64); e == nil && n < minimum {
			return []string{at + ": is less than " + s.Minimum}
		}
		if maximum, e := strconv.ParseInt(s.Maximum, 10, 64); e == nil && n > maximum {
			return []string{at + ": is more than " + s.Maximum}
		}
		return bad(err)
	case s.Format == "date-time":
		_, err := time.Parse(time.RFC3339, text)
		return bad(err)
	case s.Format == "date":
		_, err := time.Parse(time.DateOnly, text)
		return bad(err)
	}
	return nil
}

// oracle is a transport that fails the test for whatever Google's description does not
// know, in both directions. It closes its connections with the test.
type oracle struct {
	t    *testing.T
	api  *discovery
	base *http.Transport
}

func newHTTPClient(t *testing.T) *http.Client {
	t.Helper()
	api, err := loadDiscovery()
	require.NoError(t, err)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return &http.Client{Timeout: 20 * time.Second, Transport: &oracle{t, api, base}}
}

func (o *oracle) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.URL.Path, "/"+o.api.ServicePath) {
		return o.base.RoundTrip(req)
	}
	var body []byte
	if req.GetBody != nil {
		reader, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		body, _ = io.ReadAll(reader)
	}
	for _, problem := range o.api.checkRequest(req.Method, req.URL, body) {
		o.t.Errorf("request: %s", problem)
	}
	resp, err := o.base.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		return resp, err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if json.Valid(answer) {
		for _, problem := range o.api.checkResponse(req.Method, req.URL, answer) {
			o.t.Errorf("answer: %s", problem)
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	return resp, nil
}

func TestOracleKnowsMistakes(t *testing.T) {
	t.Parallel()
	api, err := loadDiscovery()
	require.NoError(t, err)
	const events = "https://www.googleapis.com/calendar/v3/calendars/primary/events"
	const times = `"start":{"dateTime":"2026-03-01T10:30:00Z"},"end":{"dateTime":"2026-03-01T11:00:00Z"}`
	tests := map[string]struct{ method, url, body, want string }{
		"good":              {"POST", events + "?conferenceDataVersion=1&sendUpdates=all&alt=json", `{` + times + `}`, ""},
		"no such method":    {"PUT", events, `{}`, "no method of the API is PUT /calendar/v3/calendars/primary/events"},
		"version 2":         {"POST", events + "?conferenceDataVersion=2", `{` + times + `}`, "conferenceDataVersion: is more than 1"},
		"unknown value":     {"POST", events + "?sendUpdates=everyone", `{` + times + `}`, "sendUpdates: everyone is none of all, externalOnly, none"},
		"unknown parameter": {"POST", events + "?notify=1", `{` + times + `}`, "calendar.events.insert: unknown parameter notify"},
		"unknown property":  {"POST", events, `{` + times + `,"attendees":[{"mail":"a@b.c"}]}`, "calendar.events.insert.attendees[0]: unknown property mail"},
		"wrong case":        {"POST", events, `{` + times + `,"conferenceData":{"createRequest":{"requestID":"x"}}}`, "calendar.events.insert.conferenceData.createRequest: unknown property requestID"},
		"wrong type":        {"POST", events, `{` + times + `,"guestsCanModify":"no"}`, "calendar.events.insert.guestsCanModify: is string, not boolean"},
		"missing end":       {"POST", events, `{"start":{"dateTime":"2026-03-01T10:30:00Z"}}`, "calendar.events.insert: end is required"},
		"patch may lack it": {"PATCH", events + "/abcde", `{"summary":"x","attendees":null}`, ""},
		"body of a delete":  {"DELETE", events + "/abcde", `{}`, "calendar.events.delete: has no body"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(test.url)
			require.NoError(t, err)
			problems := strings.Join(api.checkRequest(test.method, u, []byte(test.body)), "; ")
			require.Equal(t, test.want, problems)
		})
	}
}
