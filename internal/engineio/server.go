package engineio

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/internal/origin"
)

// ServeHTTP implements http.Handler. It answers polls and POSTs, and keeps a WebSocket
// until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	inbound.Bound(w, r)
	from := s.rules.Of(r)
	origin.Allow(w.Header(), r, from)
	switch {
	case !s.rules.KnowsHost(r):
		s.turnAway(ForeignHost, r)
		misdirected.write(w)
		return
	case from == origin.Refused:
		s.turnAway(ForeignOrigin, r)
		forbidden.write(w)
		return
	case r.Method == http.MethodOptions:
		origin.Preflight(w, r, "GET, POST")
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
func (s *Server) open(w http.ResponseWriter, r *http.Request, from origin.Caller, transport string) {
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
func (s *Server) resume(w http.ResponseWriter, r *http.Request, from origin.Caller, transport, sid string) {
	session := s.session(sid)
	if session == nil || session.isOver() { // nobody is asked about what has ended
		unknownSession.write(w)
		return
	}
	if !session.refused {
		switch subject, err := s.subject(r, from); {
		case err != nil && !errors.Is(err, telemed.ErrForbidden):
			unavailable.write(w)
			return
		case err != nil, subject != session.subject:
			unknownSession.write(w) // the same words as for a session that there is not
			return
		}
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

// subject is who sent r. A foreign page must not use its visitor's cookies, so
// for it nobody is asked.
func (s *Server) subject(r *http.Request, from origin.Caller) (string, error) {
	if from == origin.Foreign || s.cfg.Authenticate == nil {
		return "", nil
	}
	return s.cfg.Authenticate(r)
}

// refusedSubject is that of sessions which OpenRefused has made: a crowd of their own.
const refusedSubject = "\x00refused"

func (s *Server) connect(r *http.Request, from origin.Caller, transport string) (*Session, error) {
	subject, why := s.subject(r, from)
	if why != nil {
		if s.cfg.OpenRefused == nil || !errors.Is(why, telemed.ErrForbidden) {
			return nil, why
		}
		subject = refusedSubject
	}
	var addr netip.Addr
	if s.cfg.ClientAddr != nil {
		addr = networkOf(s.cfg.ClientAddr(r))
	}
	session := s.newSession(transport, rand.Text(), subject, addr)
	session.refused = why != nil
	if err := s.confirm(r, from, session, why); err != nil {
		return nil, err
	}
	s.remember(session)
	admitted := s.admitAddr(session) && (s.cfg.ConnectTimeout == 0 || s.admit(session))
	session.startClocks()
	if session.isOver() {
		session.release() // its end may have come before there was something to release
	}
	if !admitted {
		return nil, errFull
	}
	return session, nil
}

// confirm opens the session, and asks again who sent r: a person who logged out after the
// first answer and before Open could not be found by the application. Unless the answer is
// the same, the session ends. Who was refused is not asked about again. why is nil for others.
func (s *Server) confirm(r *http.Request, from origin.Caller, session *Session, why error) error {
	same := false
	defer func() {
		if !same { // also if the application's function panics: nobody else knows session yet
			session.Close(telemed.ErrForbidden)
		}
	}()
	if why != nil {
		handler, err := s.cfg.OpenRefused(session, r, why)
		if err != nil {
			return err
		}
		session.handle(handler)
		same = true
		return nil
	}
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
