package zoomtest

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSettingsAreZooms compares the settings with Zoom's own description of its API.
func TestSettingsAreZooms(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../shared/fixtures/zoom/meetings-openapi.json")
	if os.IsNotExist(err) {
		t.Skip("Zoom's own description of its API is not on this machine: it would prove that the settings which the fake knows are Zoom's, all of them, " +
			"of Zoom's types and values. TestWhatZoomKnowsHasItsEffect proves it for some without that")
	}
	require.NoError(t, err)
	type property struct {
		Type       string
		Enum       []any
		Properties map[string]property
	}
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Schema property }
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &doc))
	known := map[string]bool{}
	for path, method := range map[string]string{"/users/{userId}/meetings": "post", "/meetings/{meetingId}": "patch"} {
		settings := doc.Paths[path][method].RequestBody.Content["application/json"].Schema.Properties["settings"].Properties
		require.NotEmpty(t, settings, path)
		for name, theirs := range settings {
			known[name] = true
			if theirs.Enum != nil {
				require.ElementsMatch(t, theirs.Enum, settingValues[name], name)
			} else {
				require.Equal(t, theirs.Type, settingKind(name), name)
			}
		}
	}
	for name := range settingValues {
		require.True(t, known[name], name)
	}
	for _, names := range settingKinds {
		for _, name := range slices.Clone(names) {
			require.True(t, known[name], name)
		}
	}
}
