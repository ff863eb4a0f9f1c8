package socketio

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// Namespace is what Config has for the namespace "/", for another one. A page enters it with
// io("https://clinic.example/staff"), over the same connection as its others. For the hub it
// is a connection of its own: with its own Client.ID, rooms and Socket, and one more of
// MaxConnections.
type Namespace struct {
	// OnConnect is as that of a Config. If nil, everybody may enter.
	OnConnect func(ctx context.Context, s *Socket, auth json.RawMessage) (Welcome, error)
	// OnEvent is as that of a Config. If nil, events are acknowledged as unknown.
	OnEvent func(ctx context.Context, s *Socket, name string, args Args) (reply any, err error)
	// Joins is as that of a Config. If nil, there are none.
	Joins []Join
	// Prefix stands before the names of all rooms that are entered in the namespace. Authorize
	// and Broadcast have the whole name. If empty, a client that enters a room in two
	// namespaces gets its events in both.
	Prefix string
}

// Welcome is how an application lets a client in.
type Welcome struct {
	// Subject is whose client it is, for one that Authenticate knows nothing of: the person
	// that a token in auth speaks for. It is an error if Authenticate has said another.
	Subject string
	// Rooms are entered before the client has its answer, and Authorize is not asked for them.
	// With a Journal, a client that comes back is in them again, save those that it has left;
	// it is recovered if all of them were granted when it came first.
	Rooms []string
}

// space is a namespace with its name.
type space struct {
	name string
	Namespace
}

var _ realtime.Encoder = (*space)(nil)

// Encode implements realtime.Encoder: it makes messages of the hub's events for the clients
// in the namespace.
func (s *space) Encode(m realtime.Message) []byte { return eventMessage(s.name, "", m) }

// space returns the namespace of a name, nil if there is none.
func (s *Server) space(name string) *space { return s.spaces[name] }

// spaces checks and returns the namespaces of cfg, "/" among them.
func spaces(p *fault.Problems, cfg *Config) map[string]*space {
	checkJoins(p, "Joins", cfg.Joins)
	if cfg.Joins == nil {
		cfg.Joins = []Join{{Event: "join-clinic", Leave: "leave-clinic", Prefix: "clinic-"}}
	}
	all := map[string]*space{
		defaultNamespace: {defaultNamespace, Namespace{OnConnect: cfg.OnConnect, OnEvent: cfg.OnEvent, Joins: cfg.Joins}},
	}
	for name, namespace := range cfg.Namespaces {
		p.Check(validNamespace(name), "Namespaces",
			`has a name that is not "/" and up to %d bytes behind it, without comma and control characters`, maxNamespace-1)
		checkJoins(p, "Namespaces.Joins", namespace.Joins)
		p.Check(namespace.Prefix == "" || realtime.CheckRoom(namespace.Prefix) == nil, "Namespaces.Prefix", "cannot begin the name of a room")
		all[name] = &space{name, namespace}
	}
	return all
}

func validNamespace(name string) bool {
	return len(name) > 1 && name[0] == '/' && !strings.Contains(name, ",") &&
		len(name) <= maxNamespace && realtime.CheckRoom(name) == nil
}

func checkJoins(p *fault.Problems, field string, joins []Join) {
	seen := make(map[string]bool)
	for _, join := range joins {
		p.Required(field+".Event", join.Event)
		p.Required(field+".Prefix", join.Prefix)
		for _, event := range []string{join.Event, join.Leave} {
			p.Check(event == "" || !seen[event], field, "uses an event twice")
			seen[event] = true
		}
	}
}
