package oauth_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// A process that is killed between creating a file and renaming it leaves one for ever.
func TestFileSpoolSweepsWhatWasAbandoned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leave := func(name string, age time.Duration) {
		path, then := filepath.Join(dir, name), time.Now().Add(-age)
		require.NoError(t, os.WriteFile(path, []byte("half a tok"), 0o600))
		require.NoError(t, os.Chtimes(path, then, then))
	}
	there := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names
	}
	leave("new-123", 2*time.Hour)
	leave("new-456", time.Minute) // somebody may be writing it
	leave("README", 2*time.Hour)  // not ours

	s, err := oauth.NewFileSpool(dir, ring(t, store.NewKey()))
	require.NoError(t, err)
	require.Equal(t, []string{"README", "new-456"}, there(), "at the start")

	kept := oauth.Unsaved{ID: doctor, Token: store.Token{Access: telemed.NewSecret("a")}}
	require.NoError(t, s.Keep(t.Context(), kept))
	leave("new-789", 2*time.Hour)
	require.Len(t, spooled(t, s), 1)
	require.NotContains(t, there(), "new-789", "at a list")
	require.Len(t, there(), 3)
}
