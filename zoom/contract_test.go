package zoom_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// schema is the part of a JSON schema that Zoom's document uses for what we send.
type schema struct {
	Type       string             `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	Enum       []any              `json:"enum"`
	MaxLength  int                `json:"maxLength"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	Required   []string           `json:"required"`
	AllOf      []*schema          `json:"allOf"`
}

type content map[string]struct {
	Schema *schema `json:"schema"`
}

type operation struct {
	Parameters []struct {
		Name   string  `json:"name"`
		In     string  `json:"in"`
		Schema *schema `json:"schema"`
	} `json:"parameters"`
	RequestBody struct {
		Content content `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content content `json:"content"`
	} `json:"responses"`
}

// check returns what is wrong with value, with the path of each problem.
func (s *schema) check(path string, value any) []string {
	if s == nil || value == nil {
		return nil
	}
	var problems []string
	wrong := func(format string, args ...any) { problems = append(problems, path+": "+fmt.Sprintf(format, args...)) }
	if s.Enum != nil && !slices.Contains(s.Enum, value) {
		wrong("%v is not one of %v", value, s.Enum)
	}
	switch value := value.(type) {
	case map[string]any:
		known := s.known()
		for name, inner := range value {
			property, ok := known[name]
			if !ok {
				wrong("Zoom has no %q", name)
			}
			problems = append(problems, property.check(path+"."+name, inner)...)
		}
		for _, name := range s.Required {
			if _, ok := value[name]; !ok {
				wrong("%q is missing", name)
			}
		}
	case []any:
		for i, inner := range value {
			problems = append(problems, s.Items.check(fmt.Sprintf("%s[%d]", path, i), inner)...)
		}
	case string:
		if s.Type != "string" || s.MaxLength > 0 && utf8.RuneCountInString(value) > s.MaxLength {
			wrong("is a text of %d characters, want %s of %d", len(value), s.Type, s.MaxLength)
		}
	case bool:
		if s.Type != "boolean" {
			wrong("is a boolean, want %s", s.Type)
		}
	case float64:
		if s.Type != "integer" && s.Type != "number" || s.Minimum != nil && value < *s.Minimum || s.Maximum != nil && value > *s.Maximum {
			wrong("is %v, want %s in bounds", value, s.Type)
		}
	}
	return problems
}

func (s *schema) known() map[string]*schema {
	known := map[string]*schema{}
	for _, part := range append(s.AllOf, s) {
		maps.Copy(known, part.Properties)
	}
	return known
}

// document is Zoom's own description of its meetings API.
type document struct {
	Paths map[string]map[string]json.RawMessage `json:"paths"`
}

func zoomDocument(t *testing.T) document {
	t.Helper()
	data, err := os.ReadFile("../../shared/fixtures/zoom/meetings-openapi.json")
	if os.IsNotExist(err) {
		t.Skip("Zoom's own description of its API is not on this machine: that our requests and the fake's answers fit it would be shown; " +
			"TestRequestsByHand compares our requests with the fields that its pages name")
	}
	require.NoError(t, err)
	var doc document
	require.NoError(t, json.Unmarshal(data, &doc))
	return doc
}

var parameter = regexp.MustCompile(`\{[^}]+\}`)

func (d document) operation(t *testing.T, method, path string) *operation {
	t.Helper()
	for template, methods := range d.Paths {
		pattern := "^/v2" + parameter.ReplaceAllString(template, "[^/]+") + "$"
		raw, ok := methods[strings.ToLower(method)]
		if !ok || !regexp.MustCompile(pattern).MatchString(path) {
			continue
		}
		var op operation
		require.NoError(t, json.Unmarshal(raw, &op))
		return &op
	}
	t.Fatalf("Zoom has no %s %s", method, path)
	return nil
}

// wholeLife makes every request to the meetings API that this package can make.
func wholeLife(t *testing.T) *clinic {
	t.Helper()
	c := newClinic(t, zoomtest.Config{MaxPage: 1})
	req := visit(t, "appt-42")
	m, err := c.Create(t.Context(), doctor, req)
	require.NoError(t, err)
	// It is searched for in the list.
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true})
	_, err = c.Create(t.Context(), doctor, visit(t, "appt-43"))
	require.NoError(t, err)
	req.Topic = strings.Repeat("ü", 200)
	_, err = c.Update(t.Context(), doctor, m.ID, req)
	require.NoError(t, err)
	_, err = c.HostLink(t.Context(), doctor, m.ID)
	require.NoError(t, err)
	require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
	return c
}

func TestRequestsFitZoomsDocument(t *testing.T) {
	t.Parallel()
	doc := zoomDocument(t)
	c := wholeLife(t)
	ops := []string{zoomtest.OpCreate, zoomtest.OpList, zoomtest.OpGet, zoomtest.OpUpdate, zoomtest.OpDelete}
	for _, op := range ops {
		require.NotEmpty(t, c.fake.Requests(op), op)
	}
	for _, req := range c.fake.Requests(ops...) {
		op := doc.operation(t, req.Method, req.Path)
		for name, values := range req.Query {
			require.Empty(t, op.checkQuery(name, values[0]), req.Op)
		}
		if len(req.Body) > 0 {
			var body any
			require.NoError(t, json.Unmarshal([]byte(req.Body), &body))
			want := op.RequestBody.Content["application/json"].Schema
			require.NotNil(t, want, req.Op)
			require.Empty(t, want.check(req.Op, body))
			require.Equal(t, "application/json", req.Header.Get("Content-Type"))
		}
	}
	require.Empty(t, c.fake.Requests(zoomtest.OpUnknown))
}

func (o *operation) checkQuery(name, text string) []string {
	for _, parameter := range o.Parameters {
		if parameter.In != "query" || parameter.Name != name {
			continue
		}
		var value any = text
		if number, err := strconv.ParseFloat(text, 64); err == nil && parameter.Schema.Type == "integer" {
			value = number
		}
		if boolean, err := strconv.ParseBool(text); err == nil && parameter.Schema.Type == "boolean" {
			value = boolean
		}
		return parameter.Schema.check(name, value)
	}
	return []string{"Zoom has no parameter " + name}
}

// The fake must not teach applications fields that Zoom does not have.
func TestFakeFitsZoomsDocument(t *testing.T) {
	t.Parallel()
	doc := zoomDocument(t)
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	api := c.Tokens().Client(c.key, nil)
	fits := func(resp *http.Response, err error, status string) {
		t.Helper()
		require.NoError(t, err)
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, status, strconv.Itoa(resp.StatusCode))
		var body any
		require.NoError(t, json.Unmarshal(raw, &body))
		method, path := resp.Request.Method, resp.Request.URL.Path
		want := doc.operation(t, method, path).Responses[status].Content["application/json"].Schema
		require.NotNil(t, want, path)
		require.Empty(t, want.check(path, body))
	}
	const meetings = "/v2/users/me/meetings"
	resp, err := api.Post(c.fake.URL()+meetings, "application/json", strings.NewReader(`{"topic":"Visit","password":"abc"}`))
	fits(resp, err, "201")
	for _, path := range []string{"/v2/meetings/" + m.ID, meetings} {
		resp, err := api.Get(c.fake.URL() + path)
		fits(resp, err, "200")
	}
}
