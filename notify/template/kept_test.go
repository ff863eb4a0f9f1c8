package template_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/template"
)

// TestDataIsKeptAsItWas: an outbox compares a message with the one that it has of the same
// Key. Fields that are added since do not count while they are empty.
func TestDataIsKeptAsItWas(t *testing.T) {
	for want, data := range map[string]any{
		`{"Key":"k","Patient":"","Doctor":"","Clinic":"","Start":"0001-01-01T00:00:00Z","Duration":0,"JoinURL":"",` +
			`"Previous":"0001-01-01T00:00:00Z","Note":"","Sequence":0}`: template.Appointment{Key: "k"},
		`{"Patient":"p","Clinic":"","Amount":0,"Currency":"","Reference":"","PaidAt":"0001-01-01T00:00:00Z","Item":""}`: template.Payment{Patient: "p"},
	} {
		got, err := json.Marshal(data)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}
