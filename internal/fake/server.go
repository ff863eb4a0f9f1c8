package fake

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed/internal/wait"
)

// maxBody is how much of a request is read, in bytes.
const maxBody = 1 << 20

// Config configures a Server.
type Config struct {
	// Kit is the name of the package that is built on it. Errors begin with it.
	Kit string
	// Addr and InMemory are those of Listen.
	Addr     string
	InMemory bool
	// TLS is for https.
	TLS bool
	// Aside are the operations beside the API, such as tokens and pages. A fault without
	// Op does not fit them. As secrets travel there, their bodies and the values of their
	// queries are not recorded.
	Aside []string
	// Header, if not nil, sets what every answer has.
	Header func(http.Header)
}

// Server is an HTTP server that fails as told and records what arrives. Operations are
// added by Handle, then it is started by Serve and ended by Close. It is safe for
// concurrent use.
type Server struct {
	Script
	Clock

	cfg      Config
	url      string
	listener *Listener
	cert     *Certificate // nil without TLS
	mux      *http.ServeMux
	http     *http.Server
	client   *http.Client
	life     context.Context
	end      context.CancelFunc
	serving  sync.WaitGroup
	requests Log[Request]
}

// Request is a request that arrived. The kits document the fields.
type Request struct {
	Op     string
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	Scheme string
	Body   string
	Status int
	At     time.Time // by the machine's clock
}

// NewServer returns a Server that listens and serves nothing yet.
func NewServer(cfg Config) (*Server, error) {
	listener, err := Listen(cfg.Addr, cfg.InMemory)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Kit, err)
	}
	s := &Server{cfg: cfg, url: "http://" + listener.Address(), listener: listener, mux: http.NewServeMux()}
	transport := &http.Transport{}
	if cfg.InMemory {
		transport.DialContext = listener.Dial
	}
	if cfg.TLS {
		if s.cert, err = NewCertificate(listener.Host()); err != nil {
			_ = listener.Close()
			return nil, fmt.Errorf("%s: %w", cfg.Kit, err)
		}
		s.url = "https://" + listener.Address()
		transport.TLSClientConfig = s.cert.Client()
	}
	s.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	s.life, s.end = context.WithCancel(context.Background()) // ended by Close
	s.http = &http.Server{
		Handler: s.mux, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		ConnState: s.connection,
	}
	return s, nil
}

// connection counts the connections, so that Close can wait for them.
func (s *Server) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.serving.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.serving.Done()
	}
}

// Serve begins to answer.
func (s *Server) Serve() {
	var l net.Listener = s.listener
	if s.cert != nil {
		l = tls.NewListener(l, s.cert.Server())
	}
	s.serving.Go(func() { _ = s.http.Serve(l) }) // ends with the listener
}

// Close ends the server and all connections, and waits until they have ended. It may be
// called again.
func (s *Server) Close() {
	s.end()
	_ = s.listener.Close() // http.Server.Close would miss a connection that is just accepted
	_ = s.http.Close()
	s.serving.Wait()
	s.client.CloseIdleConnections()
}

// Life ends when the server is closed.
func (s *Server) Life() context.Context { return s.life }

// URL is the server's address, without a slash at its end.
func (s *Server) URL() string { return s.url }

// Dial connects to the server, whatever the network and the address are.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.listener.Dial(ctx, network, addr)
}

// Client returns a client that reaches the server, also in memory, and trusts its
// certificate.
func (s *Server) Client() *http.Client { return s.client }

// Browser is Client for a person: it does not follow a redirection.
func (s *Server) Browser() *http.Client {
	browser := *s.client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser
}

// Certificate returns the certificate in PEM, nil without TLS.
func (s *Server) Certificate() []byte {
	if s.cert == nil {
		return nil
	}
	return s.cert.PEM()
}

// Reset drops the faults and the requests so far.
func (s *Server) Reset() {
	s.Script.Reset()
	s.requests.Reset()
}

// Requests returns the requests for ops in the order of their arrival. Without ops, all.
func (s *Server) Requests(ops ...string) []Request {
	return slices.DeleteFunc(s.requests.All(), func(r Request) bool {
		return len(ops) > 0 && !slices.Contains(ops, r.Op)
	})
}

// WaitFor returns the first request that match accepts, and waits for it until ctx ends.
// A request is looked at when it arrives and again when it was answered.
func (s *Server) WaitFor(ctx context.Context, match func(Request) bool) (Request, error) {
	return s.requests.WaitFor(ctx, match)
}

// Handle serves what fits pattern, in the form of http.ServeMux, as the operation op.
// The handler finds the whole body read. With an empty op it is neither recorded nor
// fails.
func (s *Server) Handle(op, pattern string, handler http.HandlerFunc) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if op == "" {
			handler(w, r)
			return
		}
		s.serve(op, handler, w, r)
	})
}

// serve answers one request as its fault wants it.
func (s *Server) serve(op string, handler http.HandlerFunc, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	number := s.requests.Add(s.record(op, r, body))
	fault := s.Next(op, s.cfg.Aside...)
	if !s.pause(r.Context(), fault) {
		panic(http.ErrAbortHandler) // net/http ends the connection and says nothing
	}
	answer := s.newAnswer()
	switch {
	case err != nil:
		answer.status = http.StatusRequestEntityTooLarge
	case fault.Done():
		handler(answer, r)
	}
	if fault.Lost() {
		panic(http.ErrAbortHandler)
	}
	if fault.Status != 0 {
		answer = s.newAnswer()
		answer.fill(fault)
	}
	if fault.Cut {
		answer.sendHalf(w)
		panic(http.ErrAbortHandler)
	}
	s.requests.Edit(number, func(r *Request) { r.Status = answer.code() })
	answer.send(w)
}

func (s *Server) newAnswer() *answer {
	a := &answer{header: http.Header{}}
	if s.cfg.Header != nil {
		s.cfg.Header(a.header)
	}
	return a
}

// pause waits as the fault says, and reports whether the request is to go on.
func (s *Server) pause(ctx context.Context, fault Fault) bool {
	if fault.Delay <= 0 && !fault.Hang {
		return true
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	return Pause(ctx, fault)
}

// Pause waits as the fault says until ctx ends, and reports whether the request is to go
// on.
func Pause(ctx context.Context, fault Fault) bool {
	if wait.For(ctx, fault.Delay) != nil {
		return false
	}
	if fault.Hang {
		<-ctx.Done()
		return false
	}
	return true
}

func (s *Server) record(op string, r *http.Request, body []byte) Request {
	header := r.Header.Clone()
	scheme, _, _ := strings.Cut(header.Get("Authorization"), " ")
	header.Del("Authorization")
	request := Request{
		Op: op, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(), Header: header,
		Scheme: scheme, Body: string(body), At: time.Now(),
	}
	if slices.Contains(s.cfg.Aside, op) {
		request.Body = ""
		for name := range request.Query {
			request.Query[name] = nil
		}
	}
	return request
}
