package zoom

import (
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// FromEnv returns a Config that is filled from the environment:
//
//   - ZOOM_CLIENT_ID, ZOOM_CLIENT_SECRET and ZOOM_REDIRECT_URI are ClientID, ClientSecret
//     and RedirectURL. Required.
//   - ZOOM_WEBHOOK_SECRET is one of WebhookSecrets. Without it nobody hears at once that a
//     doctor has removed the app: the next call says so.
//   - ZOOM_BASE_URL has all Endpoints begin with it, as those of a zoomtest.Server do. It is
//     https, or http on loopback. If it is not set, they are Zoom's.
//
// Only getenv is asked, which is os.Getenv in most applications; a nil one is an empty
// environment. What is missing or wrong is said by [New], with the name of the variable.
// tokens is Config.Tokens; set the other fields before New.
func FromEnv(getenv func(name string) string, tokens store.TokenStore) Config {
	env := fault.NewEnv(getenv)
	cfg := Config{
		ClientID:       env.Text("ClientID", "ZOOM_CLIENT_ID"),
		ClientSecret:   env.Secret("ClientSecret", "ZOOM_CLIENT_SECRET"),
		RedirectURL:    env.Text("RedirectURL", "ZOOM_REDIRECT_URI"),
		Tokens:         tokens,
		WebhookSecrets: env.Secrets("WebhookSecrets", "ZOOM_WEBHOOK_SECRET"),
		env:            env,
	}
	if base := env.Base("Endpoints", "ZOOM_BASE_URL"); base != "" {
		cfg.Endpoints = Endpoints{
			Authorize: base + "/oauth/authorize", Token: base + "/oauth/token", Revoke: base + "/oauth/revoke",
			API: base + "/v2", Join: base,
		}
	}
	return cfg
}
