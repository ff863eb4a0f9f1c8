package template_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestICalJS: a calendar library that is not ours reads each of the golden invitations.
func TestICalJS(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds ical.js. " +
			"With it this test proves that npm's ical.js reads every invitation")
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.ics"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join("testdata", "ical.mjs")}, files...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	require.Len(t, lines, len(files))
	for i, line := range lines {
		var got struct {
			Method, UID, Summary string
			Start, End           time.Time
		}
		require.NoError(t, json.Unmarshal(line, &got), files[i])
		require.Contains(t, []string{"REQUEST", "CANCEL"}, got.Method, files[i])
		require.NotEmpty(t, got.UID, files[i])
		require.NotEmpty(t, got.Summary, files[i])
		require.True(t, got.End.After(got.Start), files[i])
	}
}
