package socketio

import (
	"context"
	"net/http"
	"slices"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// FromEnv returns a Config that is filled from the environment: CORS_ORIGIN is
// AllowedOrigins, between commas. If it is not set, only the server's own pages may
// connect. "*" is refused by New, for AllowAnyOrigin is a word that stands in code.
//
// Only getenv is asked, which is os.Getenv in most applications; a nil one is an empty
// environment. What is wrong is said by [New], with the name of the variable.
// authenticate and authorize are those of the Config; set the other fields before New. For
// a Hub of your own, hand over nil twice and set Hub.
func FromEnv(
	getenv func(name string) string,
	authenticate func(r *http.Request) (subject string, err error),
	authorize func(ctx context.Context, client realtime.Client, room string) error,
) Config {
	env := fault.NewEnv(getenv)
	origins := env.List("AllowedOrigins", "CORS_ORIGIN")
	if slices.Contains(origins, "*") {
		env.Wrong("AllowedOrigins", `have no "*": name the origins of the pages, or set AllowAnyOrigin in code if the rooms are public`)
	}
	return Config{
		Authenticate:   authenticate,
		Authorize:      authorize,
		AllowedOrigins: slices.DeleteFunc(origins, func(origin string) bool { return origin == "*" }),
		env:            env,
	}
}
