package googlemeet_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

// What is missing is named with its variable. In an application getenv is os.Getenv.
func ExampleFromEnv() {
	env := map[string]string{"GOOGLE_CLIENT_ID": "123.apps.googleusercontent.com", "GOOGLE_CLIENT_SECRET": "…"}
	getenv := func(name string) string { return env[name] }
	_, err := googlemeet.New(googlemeet.FromEnv(getenv, store.NewMemory()))
	fmt.Println(err)

	env["GOOGLE_REDIRECT_URI"] = "https://clinic.example/api/auth/google/doctor/callback"
	google, err := googlemeet.New(googlemeet.FromEnv(getenv, store.NewMemory()))
	fmt.Println(google.OAuth().RedirectURL, err)
	// Output:
	// googlemeet: RedirectURL is required: set GOOGLE_REDIRECT_URI
	// https://clinic.example/api/auth/google/doctor/callback <nil>
}

// GOOGLE_BASE_URL leads to the same addresses as the fake's own.
func TestBaseURLOfAFake(t *testing.T) {
	t.Parallel()
	fake := googlemeettest.NewServer(t)
	for _, base := range []string{fake.URL(), fake.URL() + "/", " " + fake.URL() + "\n"} {
		cfg := googlemeet.FromEnv(func(name string) string { return map[string]string{"GOOGLE_BASE_URL": base}[name] }, nil)
		require.Equal(t, fake.Endpoints(), cfg.Endpoints)
	}
	require.Zero(t, googlemeet.FromEnv(nil, nil).Endpoints, "Google's")
}
