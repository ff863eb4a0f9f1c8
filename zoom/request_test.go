package zoom_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// TestRequestsByHand: what we send has the fields that Zoom's pages name, of the types
// that they name, and no others. See
// https://developers.zoom.us/docs/api/meetings/#tag/meetings/post/users/{userId}/meetings.
func TestRequestsByHand(t *testing.T) {
	t.Parallel()
	var fields = map[string]any{
		"topic": "", "type": 0.0, "start_time": "", "timezone": "", "duration": 0.0, "password": "", "agenda": "", "settings": map[string]any{},
	}
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	moved := visit(t, "appt-42")
	moved.Start = moved.Start.AddDate(0, 0, 1)
	_, err = c.Update(t.Context(), doctor, m.ID, moved)
	require.NoError(t, err)
	requests := c.fake.Requests(zoomtest.OpCreate, zoomtest.OpUpdate)
	require.Len(t, requests, 2)
	for _, request := range requests {
		require.Equal(t, "application/json", request.Header.Get("Content-Type"))
		require.Empty(t, request.Query)
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte(request.Body), &body))
		for name, value := range body {
			require.Contains(t, slices.Collect(maps.Keys(fields)), name)
			require.IsType(t, fields[name], value, name)
		}
	}
	var created struct{ Settings map[string]any }
	require.NoError(t, json.Unmarshal([]byte(requests[0].Body), &created))
	kept := c.fake.Meetings()[0].Settings
	for name, value := range created.Settings {
		require.Equal(t, value, kept[name], "the fake passes over what is no setting of Zoom's: %s", name)
	}
}
