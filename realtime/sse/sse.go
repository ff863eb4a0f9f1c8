// Package sse lets pages listen to the events of a realtime.Hub by Server-Sent Events: with
// the EventSource that browsers have, and no Socket.IO.
//
//	live, err := sse.New(sse.Config{Hub: hub, AllowedOrigins: []string{"https://clinic.example"}})
//	mux.Handle("/live", live)
//	err = hub.Broadcast(ctx, "clinic-"+id, realtime.Event{Name: "new-appointment", Data: a})
//
// and in the browser
//
//	const live = new EventSource("/live?room=clinic-7&room=clinic-8");
//	live.addEventListener("telemed:at", readAll, { once: true }); // in the rooms, for the first time
//	live.addEventListener("gap", readAll);
//	live.addEventListener("new-appointment", (e) => show(JSON.parse(e.data)));
//	live.addEventListener("error", () => {
//		if (live.readyState === EventSource.CLOSED) login(); // refused, for good
//	});
//
// The names of the rooms stand in the query, and the Hub's Authorize is asked for each.
// If one is refused, the whole request is. An event carries the JSON of its Data, or a list
// of all arguments if it has several. A Binary is a string in base64. Do not call an event
// "open", "error" or "gap": listeners would take it for another.
//
// # Coming back
//
// A browser connects again by itself, some seconds after its connection has broken, and
// brings the id of the last event, the Last-Event-ID. If the Hub has a Journal, what the page
// has missed follows, in order and once, also from another process. Rights are asked anew.
// If it cannot be told, the first event is "gap": the page reads the present state. That is
// so if the page was away for too long, was kicked meanwhile, or named other rooms, and
// without a Journal always. A page that opens an EventSource of its own accord says where it
// was by the query's since=, the lastEventId of an event.
//
// The event "telemed:at" says that the page is in its rooms, and brings an id where no other
// event does.
//
// # Refusals
//
// A browser comes again only if a stream has broken off. Any status but 200 ends an
// EventSource for good. So a page that may not listen gets 403, and 204 when it comes back:
// Hub.Disconnect ends its stream, and its next request is the last. Who may come again later
// gets a stream that ends at once and says after how many seconds: while the Journal or
// the application's database is away, the Hub is full, or it shuts down.
//
// # Limits
//
// EventSource sends cookies and no headers of the page's own: authenticate by cookie. Across
// origins it sends them if the page says withCredentials. The rooms stand in the URL, and
// so in the access log of a proxy: name them by ids that say nothing of a person.
//
// Over HTTP/1.1 a browser opens six connections to one host, in all tabs together; a seventh
// EventSource waits, and so does all else that the page asks for. Serve it over HTTP/2, which
// net/http does with TLS, or open one EventSource for all rooms.
//
// Each listener costs a goroutine and the buffers of net/http; realtime/socketio needs less.
// Compressing and buffering middlewares must leave the answer alone: one that cannot flush
// gets status 500. How much may wait for a slow page is the Hub's MaxPending.
//
// # Shutdown
//
// Hub.Shutdown ends all streams, and waits for them. Call it before http.Server.Shutdown,
// which waits for them too: telemed.Shutdown(limit, hub, server) does.
//
// Standard: https://html.spec.whatwg.org/multipage/server-sent-events.html
package sse

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/origin"
	"github.com/telemed-go/telemed/realtime"
)

// Config is what New needs.
type Config struct {
	// Hub has the rooms, and decides who may listen. Required. Other transports may share it.
	Hub *realtime.Hub

	// AllowedOrigins lists the origins of the pages that may listen, besides the server's
	// own, as that of a socketio.Config. If empty, only pages of the same host as the
	// request's Host may, and clients that are no browsers.
	AllowedOrigins []string
	// AllowAnyOrigin lets pages of every other origin listen too, anonymously: Authenticate is
	// not asked for them. It is for public rooms only.
	AllowAnyOrigin bool
	// AllowedHosts lists the names under which browsers reach the server, as that of a
	// socketio.Config, which also says what holds if it is empty.
	AllowedHosts []string

	// PingInterval is after how long without an event a comment is sent, so that proxies do
	// not end a quiet stream, and a listener that is gone is noticed. If 0, 15 seconds.
	PingInterval time.Duration
	// WriteTimeout is how long a listener may take for 64 KiB of what waits for it before it
	// counts as gone. It takes the place of the http.Server's own. If 0, 10 seconds.
	WriteTimeout time.Duration
	// Retry is about how long browsers wait before they connect again: 0.5 to 1.5 times as
	// long, at random, so that they do not come in step after a deploy. Who was turned away for
	// now waits three times as long. If 0, 3 seconds.
	Retry time.Duration

	// Logger hears how streams end, with their ids and never with rooms, subjects or what they
	// carried. If nil, nothing is logged.
	Logger *slog.Logger
}

// Handler is an http.Handler for one path of the application's choice. It is safe for
// concurrent use.
type Handler struct {
	cfg   Config
	rules *origin.Rules
}

var _ http.Handler = (*Handler)(nil)

// New returns a handler, or an error that names every wrong field of cfg.
func New(cfg Config) (*Handler, error) {
	var p fault.Problems
	p.Check(cfg.Hub != nil, "Hub", "is required")
	p.Check(cfg.PingInterval >= 0, "PingInterval", "is negative")
	p.Check(cfg.WriteTimeout >= 0, "WriteTimeout", "is negative")
	p.Check(cfg.Retry >= 0, "Retry", "is negative")
	rules := origin.New(&p, origin.Config{
		AllowedOrigins: cfg.AllowedOrigins, AllowAnyOrigin: cfg.AllowAnyOrigin, AllowedHosts: cfg.AllowedHosts,
	})
	if err := p.Err("sse"); err != nil {
		return nil, err
	}
	cfg.PingInterval = cmp.Or(cfg.PingInterval, 15*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 10*time.Second)
	cfg.Retry = cmp.Or(cfg.Retry, 3*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	return &Handler{cfg: cfg, rules: rules}, nil
}
