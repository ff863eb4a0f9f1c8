package googlemeettest

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// described is Google's own description of the Calendar API, which lies beside its Go
// library: see https://developers.google.com/discovery/v1/type-format.
type described struct {
	Parameters map[string]describedForm
	Schemas    map[string]describedForm
	Resources  map[string]struct {
		Methods map[string]struct {
			HTTPMethod, Path string
			Parameters       map[string]describedForm
			Scopes           []string
			Response         describedForm
		}
	}
}

type describedForm struct {
	Ref                  string `json:"$ref"`
	Type, Location       string
	Repeated             bool
	Properties           map[string]describedForm
	Items                *describedForm
	AdditionalProperties *describedForm
}

func readDescription(t *testing.T) described {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "calendar", "v3", "calendar-api.json"))
	require.NoError(t, err)
	var d described
	require.NoError(t, json.Unmarshal(data, &d))
	return d
}

// same compares a form with Google's, name by name.
func (d described) same(t *testing.T, at string, ours *schema, theirs describedForm) {
	t.Helper()
	if theirs.Ref != "" {
		theirs = d.Schemas[theirs.Ref]
	}
	kind := theirs.Type
	if kind == "any" {
		kind = "object"
	}
	if at == "Channel.expiration" { // a number of 64 bits, which JSON has in quotes
		kind = "integer"
	}
	require.Equal(t, kind, ours.kind, at)
	switch {
	case theirs.Items != nil:
		d.same(t, at+"[]", ours.items, *theirs.Items)
	case theirs.AdditionalProperties != nil:
		d.same(t, at+".*", ours.any, *theirs.AdditionalProperties)
	case len(ours.properties) > 0:
		for _, name := range slices.Sorted(maps.Keys(theirs.Properties)) {
			require.Contains(t, ours.properties, name, at)
			d.same(t, at+"."+name, ours.properties[name], theirs.Properties[name])
		}
		require.Len(t, ours.properties, len(theirs.Properties), "%s has names that Google's has not", at)
	}
}

// TestFormsAreGoogles: what the fake knows of bodies, answers, queries and scopes is what
// Google says of them.
func TestFormsAreGoogles(t *testing.T) {
	t.Parallel()
	d := readDescription(t)
	for name, form := range map[string]*schema{
		"Event": eventForm, "Events": eventsForm, "Calendar": calendarForm, "CalendarList": entriesForm, "CalendarListEntry": entryForm,
		"Channel": channelForm, "FreeBusyRequest": freeBusyForm, "FreeBusyResponse": busyForm,
	} {
		d.same(t, name, form, describedForm{Ref: name})
	}
	common := slices.Sorted(maps.Keys(d.Parameters))
	require.Equal(t, common, slices.Sorted(slices.Values(commonQuery)))
	ours := map[string]method{}
	for _, m := range methods() {
		ours[strings.NewReplacer("{calendar}", "{calendarId}", "{event}", "{eventId}").Replace(m.pattern)] = m
	}
	for _, resource := range d.Resources {
		for name, theirs := range resource.Methods {
			pattern := theirs.HTTPMethod + " /" + theirs.Path
			m, has := ours[pattern]
			if !has {
				require.True(t, absent.MatchString("/"+strings.NewReplacer("{", "", "}", "").Replace(theirs.Path)), "%s is neither here nor absent", pattern)
				continue
			}
			delete(ours, pattern)
			var query []string
			for parameter, form := range theirs.Parameters {
				if form.Location == "query" {
					query = append(query, parameter)
					require.Equal(t, form.Repeated, slices.Contains(repeated, parameter), parameter)
				}
			}
			require.ElementsMatch(t, query, m.query, name)
			require.ElementsMatch(t, theirs.Scopes, m.scopes, name)
		}
	}
	require.Empty(t, ours, "methods that Google does not have")
}
