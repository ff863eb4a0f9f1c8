package engineio

import (
	"crypto/rand"
	"net/http"
	"net/netip"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/inbound"
)

// ServeHTTP implements http.Handler. It answers polls and POSTs, and keeps a WebSocket
// until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	inbound.Bound(w, r)
	from := s.caller(r)
	allow(w.Header(), r, from)
	switch {
	case !s.hosts.allow(r):
		s.turnAway(ForeignHost, r)
		misdirected.write(w)
		return
	case from == refused:
		s.turnAway(ForeignOrigin, r)
		forbidden.write(w)
		return
	case r.Method == http.MethodOptions:
		preflight(w, r)
		return
	case r.Method == http.MethodGet:
		if _, err := inbound.Read(w, r, maxGetBody); err != nil {
			refusalForBody(err).write(w)
			return
		}
	}

	query := r.URL.Query()
	transport, sid := query.Get("transport"), query.Get("sid")
	switch {
	case transport != pollingTransport && transport != webSocketTransport:
		unknownTransport.write(w)
	case query.Get("EIO") != "4":
		badVersion.write(w)
	case sid == "":
		s.open(w, r, from, transport)
	default:
		s.resume(w, r, from, transport, sid)
	}
}

// maxGetBody is how many bytes of a GET's body are read and thrown away: the protocol has
// none, but a proxy may announce an empty one. A poll must not begin to wait before.
const maxGetBody = 1 << 10

// open begins a session.
func (s *Server) open(w http.ResponseWriter, r *http.Request, from caller, transport string) {
	if r.Method != http.MethodGet {
		badHandshake.write(w)
		return
	}
	if transport == webSocketTransport && !isHandshake(r) {
		badRequest.write(w)
		return
	}
	session, err := s.connect(r, from, transport)
	if err != nil {
		refusalFor(err).write(w)
		return
	}
	if transport == webSocketTransport {
		session.openWebSocket(w, r)
		return
	}
	session.openPolling(w)
}

// resume hands a request to the session that it names, if it comes from whom
// the session belongs to.
func (s *Server) resume(w http.ResponseWriter, r *http.Request, from caller, transport, sid string) {
	session := s.session(sid)
	if session == nil {
		unknownSession.write(w)
		return
	}
	subject, err := s.subject(r, from)
	if err != nil {
		forbidden.write(w)
		return
	}
	if subject != session.subject {
		unknownSession.write(w) // the same words as for a session that there is not
		return
	}

	var handle func(http.ResponseWriter, *http.Request)
	switch {
	case transport == webSocketTransport && isHandshake(r):
		handle = session.upgrade
	case transport == pollingTransport && r.Method == http.MethodGet:
		handle = session.poll
	case transport == pollingTransport && r.Method == http.MethodPost:
		handle = session.post
	default:
		badRequest.write(w)
		return
	}
	if !session.do(func() { handle(w, r) }) {
		unknownSession.write(w)
	}
}

func (s *Server) caller(r *http.Request) caller {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return withoutOrigin(r)
	}
	origin, ok := parseOrigin(values[0])
	switch {
	case len(values) > 1:
		return refused
	case ok && s.origins[origin.String()]:
		return listed
	case ok && sameHost(origin, r):
		return own
	case s.cfg.AllowAnyOrigin:
		return foreign
	}
	return refused
}

// subject is who sent r. A foreign page must not use its visitor's cookies, so
// for it nobody is asked.
func (s *Server) subject(r *http.Request, from caller) (string, error) {
	if from == foreign || s.cfg.Authenticate == nil {
		return "", nil
	}
	return s.cfg.Authenticate(r)
}

func (s *Server) connect(r *http.Request, from caller, transport string) (*Session, error) {
	subject, err := s.subject(r, from)
	if err != nil {
		return nil, err
	}
	var addr netip.Addr
	if s.cfg.ClientAddr != nil {
		addr = networkOf(s.cfg.ClientAddr(r))
	}
	session := s.newSession(transport, rand.Text(), subject, addr)
	if err := s.confirm(r, from, session); err != nil {
		return nil, err
	}
	s.remember(session)
	admitted := s.admitAddr(session) && (s.cfg.ConnectTimeout == 0 || s.admit(session))
	session.startClocks()
	if session.Context().Err() != nil {
		session.release() // its end may have come before there was something to release
	}
	if !admitted {
		return nil, errFull
	}
	return session, nil
}

// confirm opens the session, and asks again who sent r: a person who logged out after the
// first answer and before Open could not be found by the application. Unless the answer is
// the same, the session ends.
func (s *Server) confirm(r *http.Request, from caller, session *Session) error {
	same := false
	defer func() {
		if !same { // also if the application's function panics: nobody else knows session yet
			session.Close(telemed.ErrForbidden)
		}
	}()
	handler, err := s.cfg.Open(session, r)
	if err != nil {
		return err
	}
	session.handle(handler)
	subject, err := s.subject(r, from)
	if err != nil {
		return err
	}
	if same = subject == session.subject; !same {
		return telemed.ErrForbidden
	}
	return nil
}
