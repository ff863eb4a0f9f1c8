package googlemeettest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
)

// calls is how many calls the table of testdata/calendar.cjs has at least.
const calls = 100

// TestGoogleNodeClient: each call of the table is answered as Google answers it. The
// client is Google's own, and so is what it makes of the answers.
func TestGoogleNodeClient(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds @googleapis/calendar and google-auth-library. " +
			"With them this test proves that Google's own client for Node.js works with the fake, call by call")
	}
	const other = "clinic@group.calendar.google.com"
	fake := googlemeettest.NewServer(t, googlemeettest.Config{Calendars: []string{other}})
	c := newCaller(t, fake)
	consent := func() string {
		back, err := fake.Authorize(c.consentURL(func(q url.Values) { q.Set("scope", "openid email "+googlemeet.ScopeCalendar) }))
		require.NoError(t, err)
		u, err := url.Parse(back)
		require.NoError(t, err)
		return u.Query().Get("code")
	}
	config, err := json.Marshal(map[string]string{
		"url": fake.URL(), "clientID": fake.ClientID(), "clientSecret": fake.ClientSecret().Reveal(), "redirectURL": callback,
		"code": consent(), "second": consent(), "verifier": c.verifier, "other": other,
	})
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", "calendar.cjs"), string(config))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	made := 0
	for line := bufio.NewScanner(bytes.NewReader(out)); line.Scan(); made++ {
		var row struct {
			Name, Reason, Problem string
			Status                int
			Right                 bool
		}
		require.NoError(t, json.Unmarshal(line.Bytes(), &row))
		t.Run(row.Name, func(t *testing.T) {
			require.True(t, row.Right, "%d %s: %s", row.Status, row.Reason, row.Problem)
		})
	}
	require.GreaterOrEqual(t, made, calls)
}
