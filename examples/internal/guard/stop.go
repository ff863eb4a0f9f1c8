package guard

import (
	"context"
	"net/http"
)

// Stop ends server. Requests that run may finish until ctx ends, and are cut then:
// http.Server.Shutdown alone would wait for a form that drips in. End WebSockets and long
// polls before, since it does not know the former and waits for the latter.
func Stop(ctx context.Context, server *http.Server) error {
	if server.Shutdown(ctx) == nil {
		return nil
	}
	return server.Close()
}

// Server is an http.Server whose Shutdown is Stop.
type Server struct{ *http.Server }

// Shutdown is Stop.
func (s Server) Shutdown(ctx context.Context) error { return Stop(ctx, s.Server) }
