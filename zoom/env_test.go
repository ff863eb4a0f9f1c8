package zoom_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// What is missing is named with its variable. In an application getenv is os.Getenv.
func ExampleFromEnv() {
	env := map[string]string{"ZOOM_CLIENT_ID": "abc", "ZOOM_CLIENT_SECRET": "…"}
	getenv := func(name string) string { return env[name] }
	_, err := zoom.New(zoom.FromEnv(getenv, store.NewMemory()))
	fmt.Println(err)

	env["ZOOM_REDIRECT_URI"] = "https://clinic.example/api/auth/zoom/doctor/callback"
	z, err := zoom.New(zoom.FromEnv(getenv, store.NewMemory()))
	fmt.Println(z.OAuth().RedirectURL, err)
	// Output:
	// zoom: RedirectURL is required: set ZOOM_REDIRECT_URI
	// https://clinic.example/api/auth/zoom/doctor/callback <nil>
}

// ZOOM_BASE_URL leads to the same addresses as the fake's own.
func TestBaseURLOfAFake(t *testing.T) {
	t.Parallel()
	fake := zoomtest.NewServer(t)
	env := map[string]string{"ZOOM_BASE_URL": fake.URL() + "/", "ZOOM_WEBHOOK_SECRET": "signs"}
	cfg := zoom.FromEnv(func(name string) string { return env[name] }, nil)
	require.Equal(t, fake.Endpoints(), cfg.Endpoints)
	require.Len(t, cfg.WebhookSecrets, 1)
	require.Equal(t, "signs", cfg.WebhookSecrets[0].Reveal())
	require.Zero(t, zoom.FromEnv(nil, nil).Endpoints, "Zoom's")
	require.Nil(t, zoom.FromEnv(nil, nil).WebhookSecrets)

	cfg = zoom.Config{WebhookSecrets: make([]telemed.Secret, 1)}
	_, err := zoom.New(cfg)
	require.ErrorContains(t, err, "WebhookSecrets[0] is empty")
}
