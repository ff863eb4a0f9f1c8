package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNode: a backend in Node.js makes its calls and breaks things, and knows nothing but the
// variables that the sandbox sets.
func TestNode(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds @googleapis/calendar, google-auth-library, razorpay, " +
			"nodemailer and axios. With them this test proves that a backend in Node.js works with the sandbox, and controls it")
	}
	status, stdout, stderr := sandbox(t, os.Environ(), "node", "testdata/backend.cjs")
	require.Zero(t, status, stdout+stderr)
	require.Equal(t, 19, strings.Count(stdout, "\n"), stdout)
	require.Equal(t, 19, strings.Count(stdout, "ok   "), stdout)
}
