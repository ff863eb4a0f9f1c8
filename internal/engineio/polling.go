package engineio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/inbound"
)

// maxBatch is how many bytes of packets one poll carries before the rest waits for the
// next.
const maxBatch = 1 << 20

// maxPart is how many bytes of an answer must be taken within WriteTimeout.
const maxPart = 64 << 10

// lastPoll is how long a client that closes its session may take to come for the answer to
// its last poll.
const lastPoll = 100 * time.Millisecond

// pausedPoll is how long a poll waits at most while the client is to upgrade. The client
// may not know yet, or never hear of it through a proxy that swallows frames: without a
// wait it would poll as fast as it can.
const pausedPoll = 100 * time.Millisecond

// lastWord is a Sender that waits for its message to be gone. gone has room for one.
type lastWord struct {
	session *Session
	gone    chan struct{}
}

// Sent implements Sender. It comes before the answer: with it in hand a client that polls again
// is told that the session is over, however late the worker ends it.
func (w lastWord) Sent(int) {
	w.session.parted.Store(true)
	select {
	case w.gone <- struct{}{}:
	default:
	}
}

// endPolls answers the last poll of a client that closes the session. The poll may still be
// on its way.
func (s *Session) endPolls() {
	last := lastWord{s, make(chan struct{}, 1)}
	if _, err := s.Put(last, [][]byte{noopMessage}, noopMessage); err != nil {
		return
	}
	select {
	case <-last.gone:
	case <-time.After(lastPoll):
	case <-s.Done():
	}
}

func (s *Session) openPolling(w http.ResponseWriter) {
	ok := s.do(func() {
		if err := s.answer(w, s.server.openPacket(s.id, webSocketTransport)); err != nil {
			s.Close(errPollLost)
		}
	})
	if !ok {
		unavailable.write(w)
	}
}

// poll waits for packets and answers with them.
func (s *Session) poll(w http.ResponseWriter, r *http.Request) {
	s.beatNow() // a busy machine may be late with it
	if s.isOver() || s.parted.Load() {
		unknownSession.write(w)
		return
	}
	if s.OverWebSocket() {
		badRequest.write(w)
		return
	}
	select {
	case s.polls <- struct{}{}:
	default:
		s.Close(errOverlap)
		badRequest.write(w)
		return
	}
	due(w, time.Time{}) // answer sets a deadline again
	payload, ok := s.payload(r.Context())
	if ok && payload == nil {
		// Browsers break polls off when the page is left. polls stays full: a poll that is on
		// its way is refused, as one that came later would be.
		s.Close(errClientLeft)
		return
	}
	<-s.polls // before the answer: with it in hand the client polls again
	if !ok {
		badRequest.write(w)
		return
	}
	if err := s.answer(w, payload); err != nil {
		s.Close(errPollLost) // better a new connection than a hole that nobody sees
	}
}

// due sets when an answer must have been taken. The server's WriteTimeout is not about the
// wait before it. HTTP/2 resets the stream when it is over, and does not wait for a write.
func due(w http.ResponseWriter, at time.Time) {
	_ = http.NewResponseController(w).SetWriteDeadline(at) // not supported: there is no connection
}

// payload returns what a poll is answered with, nil if the request ended, and
// false if the session does not poll any more.
func (s *Session) payload(request context.Context) ([]byte, bool) {
	select {
	case <-s.wake: // for the poll before, which did not need it
	default:
	}
	phase := s.currentPhase()
	if phase >= promoting {
		return nil, false
	}
	if s.isOver() {
		return closePacket, true
	}
	if payload := s.batch(); payload != nil {
		return payload, true
	}
	var soon <-chan time.Time // nil, which blocks
	if phase == pausing {
		soon = time.After(pausedPoll)
	}
	for {
		select {
		case <-s.out.ready:
			if payload := s.batch(); payload != nil {
				return payload, true
			}
		case <-s.wake:
			return noopPacket, s.currentPhase() != promoting
		case <-soon:
			return noopPacket, true
		case <-s.Done():
			return closePacket, true
		case <-request.Done():
			return nil, true
		}
	}
}

// batch takes what waits, nil if nothing does.
func (s *Session) batch() []byte {
	payload := s.out.take()
	if payload != nil {
		s.moved.Store(true)
	}
	return payload
}

func (s *Session) answer(w http.ResponseWriter, payload []byte) error {
	control := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(payload)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	for {
		part := payload[:min(len(payload), maxPart)]
		payload = payload[len(part):]
		// Replaces the application's WriteTimeout, which the wait has used up.
		_ = control.SetWriteDeadline(time.Now().Add(s.server.cfg.WriteTimeout))
		_, err := w.Write(part)
		if err := errors.Join(err, flush(control)); err != nil {
			return err
		}
		s.moved.Store(true) // who reads is not dead; a heartbeat is in the next answer
		if len(payload) == 0 {
			return nil
		}
	}
}

// flush finds out whether the peer takes the answer. A ResponseWriter that
// cannot flush is no reason to fail.
func flush(control *http.ResponseController) error {
	if err := control.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// post reads the packets of a request's body. It answers when they are in the worker's hands:
// until then the client sends no other, not even its answer to a heartbeat.
func (s *Session) post(w http.ResponseWriter, r *http.Request) {
	if s.OverWebSocket() {
		badRequest.write(w)
		return
	}
	select {
	case s.posts <- struct{}{}:
		defer func() { <-s.posts }()
	default:
		s.Close(errOverlap)
		badRequest.write(w)
		return
	}
	if s.OverWebSocket() || s.left { // left is the WebSocket's reader's own then
		badRequest.write(w)
		return
	}
	body, err := s.body(w, r)
	if err != nil {
		if brokeOff(err) {
			s.Close(errClientLeft)
		}
		refusalForBody(err).write(w)
		return
	}
	due(w, time.Time{})
	err = s.packets(r.Context(), body)
	due(w, time.Now().Add(s.server.cfg.WriteTimeout))
	if err != nil {
		s.Close(err)
		badRequest.write(w)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "ok") // the packets count, whether it is read or not
}

func (s *Session) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "application/octet-stream" {
		return nil, ErrUnsupported
	}
	return inbound.ReadUntil(s.Context(), w, r, int64(s.server.cfg.MaxPayload))
}

// brokeOff reports whether the client has hung up in the middle of a body. Nobody knows then
// what it had to say.
func brokeOff(err error) bool {
	return inbound.Status(err) == http.StatusBadRequest && !errors.Is(err, ErrUnsupported)
}

func refusalForBody(err error) refusal {
	switch inbound.Status(err) {
	case http.StatusRequestEntityTooLarge:
		return tooLarge
	case http.StatusRequestTimeout:
		return tooSlow
	}
	return badRequest
}

// packets reads a polling payload: Engine.IO packets with separators between them. What is
// behind a close is not read. If the client hangs up while it waits for the worker, the
// session ends, and with it whatever the application does and all that was to follow.
func (s *Session) packets(request context.Context, payload []byte) error {
	if !utf8.Valid(payload) {
		return ErrGarbage
	}
	if bytes.Count(payload, []byte{separator}) >= s.server.cfg.MaxPackets {
		return errTooMany
	}
	stop := context.AfterFunc(request, func() { s.Close(errClientLeft) })
	defer stop()
	for text := range bytes.SplitSeq(payload, []byte{separator}) {
		if s.isOver() {
			return s.why()
		}
		if err := s.packet(text); err != nil || s.left {
			return err
		}
	}
	return nil
}
