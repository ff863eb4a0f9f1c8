package googlemeet_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/store"
)

func TestNewNamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := googlemeet.New(googlemeet.Config{})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.EqualError(t, err, "googlemeet: ClientID is required; ClientSecret is required; Tokens is required; "+
		"RedirectURL is required")

	good := googlemeet.Config{
		ClientID: "id", ClientSecret: telemed.NewSecret("secret"), RedirectURL: "https://clinic.example/callback", Tokens: store.NewMemory(),
	}
	tests := map[string]func(*googlemeet.Config){
		"RedirectURL":         func(c *googlemeet.Config) { c.RedirectURL = "http://clinic.example/callback" },
		"Endpoints.Authorize": func(c *googlemeet.Config) { c.Endpoints.Authorize = "http://evil.example" },
		"Endpoints.Token":     func(c *googlemeet.Config) { c.Endpoints.Token = "token" },
		"Endpoints.Revoke":    func(c *googlemeet.Config) { c.Endpoints.Revoke = "ftp://127.0.0.1/" },
		"Endpoints.Calendar":  func(c *googlemeet.Config) { c.Endpoints.Calendar = "https://user@www.googleapis.com/" },
		"Endpoints.Join":      func(c *googlemeet.Config) { c.Endpoints.Join = "http://meet.google.com" },
		"Scopes":              func(c *googlemeet.Config) { c.Scopes = []string{"openid", googlemeet.ScopeCalendar + ".readonly"} },
		"Calendar":            func(c *googlemeet.Config) { c.Calendar = ".." },
	}
	for field, spoil := range tests {
		cfg := good
		spoil(&cfg)
		_, err := googlemeet.New(cfg)
		require.ErrorIs(t, err, telemed.ErrInvalid, field)
		require.True(t, strings.HasPrefix(err.Error(), "googlemeet: "+field+" "), err.Error())
	}

	for _, scope := range []string{googlemeet.ScopeEventsOwned, googlemeet.ScopeAppCreated, googlemeet.ScopeCalendar} {
		cfg := good
		cfg.Scopes = []string{scope}
		require.Equal(t, []string{scope}, newClient(t, cfg).OAuth().RequiredScopes())
	}
}

// Google's library prints whole requests and answers if the environment tells it to. This
// run of the canary test in a process of its own proves that ours does not let it.
func TestNoEnvironmentPrintsBodies(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestCanary|TestConnect)$", "-test.v")
	cmd.Env = append(os.Environ(), "GOOGLE_SDK_GO_LOGGING_LEVEL=debug")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Run(), output.String())
	require.Contains(t, output.String(), "--- PASS: TestCanary")
	require.NotContains(t, output.String(), canary)
	require.NotContains(t, output.String(), "api request")
}
