package googlemeet

import (
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// FromEnv returns a Config that is filled from the environment:
//
//   - GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET and GOOGLE_REDIRECT_URI are ClientID,
//     ClientSecret and RedirectURL. Required.
//   - GOOGLE_BASE_URL has all Endpoints begin with it, as those of a googlemeettest.Server
//     do. It is https, or http on loopback. If it is not set, they are Google's.
//
// Only getenv is asked, which is os.Getenv in most applications; a nil one is an empty
// environment. What is missing or wrong is said by [New], with the name of the variable.
// tokens is Config.Tokens; set the other fields before New.
func FromEnv(getenv func(name string) string, tokens store.TokenStore) Config {
	env := fault.NewEnv(getenv)
	cfg := Config{
		ClientID:     env.Text("ClientID", "GOOGLE_CLIENT_ID"),
		ClientSecret: env.Secret("ClientSecret", "GOOGLE_CLIENT_SECRET"),
		RedirectURL:  env.Text("RedirectURL", "GOOGLE_REDIRECT_URI"),
		Tokens:       tokens,
		env:          env,
	}
	if base := env.Base("Endpoints", "GOOGLE_BASE_URL"); base != "" {
		cfg.Endpoints = Endpoints{
			Authorize: base + "/o/oauth2/v2/auth", Token: base + "/token", Revoke: base + "/revoke",
			Calendar: base + "/calendar/v3", Join: base,
		}
	}
	return cfg
}
