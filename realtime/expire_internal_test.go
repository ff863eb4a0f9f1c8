package realtime

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A hub that is shut down has no timer that still runs.
func TestShutdownStopsTheTimer(t *testing.T) {
	t.Parallel()
	j := &MemoryJournal{}
	hub, err := NewHub(Config{Journal: j})
	require.NoError(t, err)
	_, err = j.Append(t.Context(), Entry{Kind: KindEvent, Name: "visit"})
	require.NoError(t, err)
	_, err = hub.Connect(t.Context(), "ada", jsonEncoder{}, nil)
	require.NoError(t, err)
	require.NoError(t, hub.awaitJournal(t.Context()))
	hub.mu.Lock()
	require.NotNil(t, hub.past.expiry)
	hub.mu.Unlock()
	require.NoError(t, hub.Shutdown(t.Context()))
	require.False(t, hub.past.expiry.Stop(), "it was stopped already")
}

type jsonEncoder struct{}

func (jsonEncoder) Encode(m Message) []byte { return m.Args[0] }
