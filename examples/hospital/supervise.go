package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/examples/internal/local"
)

// pace is that of a hospital which is killed: others wait for twice of it.
const pace = 3 * time.Second

// The variables that make a process a child of a supervisor: its SQLite file, and where
// browsers reach it. Where the providers are is in the environment too.
const childDB, childURL = "HOSPITAL_CHILD_DB", "HOSPITAL_CHILD_URL"

// serveChild ends when its supervisor does, which holds the other end of its input.
func serveChild(ctx context.Context, out io.Writer, o options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	o.db, o.public, o.pace = os.Getenv(childDB), os.Getenv(childURL), pace
	return serve(ctx, out, o)
}

// supervisor has the providers in its own process and the hospital in another one, which it
// starts again when that is killed. Browsers and providers come through it, as through a
// proxy: who comes while the hospital starts waits for it.
type supervisor struct {
	*panel
	log    *slog.Logger
	base   string // where browsers reach the demonstration
	proxy  *httputil.ReverseProxy
	server *http.Server
	public bool // another proxy stands before this one

	mu    sync.Mutex
	cmd   *exec.Cmd
	addr  string        // the hospital's; the same after each restart
	ready chan struct{} // closed while the hospital is open
	ended chan struct{} // closed when the hospital is not started again
	err   error         // why, once ended is closed
}

// supervise opens a demonstration at an address, and returns when the hospital is open.
func supervise(ctx context.Context, o options) (*supervisor, error) {
	listener, err := listen(o.addr)
	if err != nil {
		return nil, err
	}
	s := &supervisor{log: o.log, base: "http://" + listener.Addr().String(), public: o.public != "", ready: make(chan struct{}), ended: make(chan struct{})}
	if s.public {
		s.base = o.public
	}
	if s.panel, err = openPanel(local.Providers{}); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if err = s.route(listener.Addr().String()); err != nil {
		return nil, errors.Join(err, listener.Close(), s.panel.close())
	}
	s.follow("http://" + listener.Addr().String())
	go func() { _ = s.server.Serve(listener) }()
	go s.keepUp(ctx)
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// route serves the panel's buttons itself, and passes on all else.
func (s *supervisor) route(addr string) error {
	u, err := url.Parse(s.base)
	if err != nil || u.Host == "" {
		return errors.New("-url must be an address such as https://clinic.example")
	}
	g, err := guard.New(guard.Config{Hosts: []string{u.Host, addr}})
	if err != nil {
		return err
	}
	s.proxy = &httputil.ReverseProxy{Rewrite: s.rewrite, ErrorHandler: s.broken, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	mux := http.NewServeMux()
	mux.Handle("POST /demonstration/{action}", g.Handler(guard.Whole(maxForm, http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.pressed)))))
	mux.HandleFunc("/", s.pass)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	return nil
}

// keepUp starts the hospital again and again, until ctx ends or it ends by itself.
func (s *supervisor) keepUp(ctx context.Context) {
	defer close(s.ended)
	for n := 0; ; n++ {
		err := s.live(ctx, n)
		if ctx.Err() != nil || err == nil || s.addr == "" {
			s.err = err
			return
		}
		s.note("", "the server is dead; it is started again")
	}
}

// live has the hospital live until it dies or ctx ends.
func (s *supervisor) live(ctx context.Context, n int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"-addr", "127.0.0.1:0"}
	if s.addr != "" {
		args[1] = s.addr
	}
	if s.log.Enabled(ctx, slog.LevelDebug) {
		args = append(args, "-v")
	}
	cmd := exec.Command(self, args...) //nolint:noctx // it ends by its input, to finish what is under way
	cmd.Env, cmd.Stderr = append(os.Environ(), childDB+"="+filepath.Join(s.folder, "hospital.db"), childURL+"="+s.base), os.Stderr
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	end := context.AfterFunc(ctx, func() {
		_ = in.Close()
		time.AfterFunc(8*time.Second, func() { _ = cmd.Process.Kill() })
	})
	defer end()
	if line, err := bufio.NewReader(out).ReadString('\n'); err == nil {
		s.opened(cmd, strings.TrimSpace(strings.TrimPrefix(line, listening)), n)
	}
	err = cmd.Wait()
	s.shut()
	return err
}

// opened lets in those who wait.
func (s *supervisor) opened(cmd *exec.Cmd, addr string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd, s.addr = cmd, addr
	close(s.ready)
	if n > 0 {
		s.note("", "the server is open again")
	}
}

// shut has those wait who come.
func (s *supervisor) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		s.cmd, s.ready = nil, make(chan struct{})
	}
}

// open waits until the hospital is open.
func (s *supervisor) open(ctx context.Context) error {
	_, err := s.whenOpen(ctx)
	return err
}

// whenOpen waits until the hospital is open, and returns what tells this life of it from others.
func (s *supervisor) whenOpen(ctx context.Context) (ready chan struct{}, err error) {
	s.mu.Lock()
	ready = s.ready
	s.mu.Unlock()
	select {
	case <-ready:
		return ready, nil
	case <-s.ended:
		return nil, cmp.Or(s.err, errors.New("the hospital has ended"))
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// replaced waits until the death of a life is heard of.
func (s *supervisor) replaced(ctx context.Context, before chan struct{}) error {
	for {
		s.mu.Lock()
		now := s.ready
		s.mu.Unlock()
		if now != before {
			return nil
		}
		select {
		case <-s.ended:
			return cmp.Or(s.err, errors.New("the hospital has ended"))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill is kill -9, now. It returns when the hospital is open again.
func (s *supervisor) kill(ctx context.Context, visit string) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	cmd, before := s.cmd, s.ready
	s.mu.Unlock()
	if cmd == nil {
		return nil // it has just died
	}
	s.note(visit, "kills the server (kill -9)")
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	if err := s.replaced(ctx, before); err != nil {
		return err
	}
	return s.open(ctx)
}

// close ends all of it. The context of supervise has ended, or the hospital has.
func (s *supervisor) close() error {
	_ = s.server.Close()
	<-s.ended
	return s.panel.close()
}

// pressed is a button of the panel.
func (s *supervisor) pressed(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	var err error
	if action := r.PathValue("action"); action == "kill" {
		err = s.kill(ctx, r.PostForm.Get("visit"))
	} else {
		err = s.press(ctx, action, r.PostForm)
	}
	back := ownPath(r.PostForm.Get("back"))
	switch {
	case errors.Is(err, errNoPage):
		http.NotFound(w, r)
		return
	case errors.Is(err, errNothingYet):
		back += "?nothing=" + url.QueryEscape(r.PathValue("action"))
	case err != nil:
		http.Error(w, "that did not work", http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, back+"#panel", http.StatusSeeOther)
}

// ownPath is a path of this site, whatever a form says.
func ownPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.Contains(path, "\\") {
		return "/"
	}
	return u.EscapedPath()
}

// passedKey is to which life of the hospital a request was passed on, and how often before.
type passedKey struct{}

type passed struct {
	ready chan struct{} // of that life
	times int
}

// pass hands a request to the hospital, once that is open.
func (s *supervisor) pass(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	ready, err := s.whenOpen(ctx)
	cancel()
	if err != nil {
		http.Error(w, "the hospital is not open", http.StatusServiceUnavailable)
		return
	}
	before, _ := r.Context().Value(passedKey{}).(passed)
	r = r.WithContext(context.WithValue(r.Context(), passedKey{}, passed{ready, before.times + 1}))
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Second)) // it has one
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			http.Error(w, "that is more than a mebibyte", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the request did not arrive whole", http.StatusRequestTimeout)
			return
		}
		r.Body = &wholeBody{*bytes.NewReader(body)}
	}
	s.proxy.ServeHTTP(w, r)
}

// wholeBody is a body that has arrived. The proxy's own one fails when it is read once more
// after the answer, as net/http does, and the answer is cut then.
type wholeBody struct{ bytes.Reader }

// Close implements io.Closer.
func (*wholeBody) Close() error { return nil }

func (s *supervisor) rewrite(p *httputil.ProxyRequest) {
	s.mu.Lock()
	p.SetURL(&url.URL{Scheme: "http", Host: s.addr})
	s.mu.Unlock()
	p.Out.Host = p.In.Host
	if whole, ok := p.In.Body.(*wholeBody); ok {
		p.Out.Body = whole
	}
	if s.public { // what the proxy before this one says
		p.Out.Header["X-Forwarded-For"], p.Out.Header["X-Forwarded-Proto"] = p.In.Header["X-Forwarded-For"], p.In.Header["X-Forwarded-Proto"]
		return
	}
	host, _, _ := net.SplitHostPort(p.In.RemoteAddr)
	p.Out.Header.Set("X-Forwarded-For", host)
	p.Out.Header.Set("X-Forwarded-Proto", "http")
}

// deathIsHeard is how long after a broken answer the death that broke it may be heard of, on a
// busy machine.
const deathIsHeard = 20 * time.Second

// broken is that the hospital was killed while it answered. Who only reads asks the next one.
func (s *supervisor) broken(w http.ResponseWriter, r *http.Request, _ error) {
	before, _ := r.Context().Value(passedKey{}).(passed)
	reads := (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Upgrade") == ""
	if reads && before.times < 4 {
		ctx, cancel := context.WithTimeout(r.Context(), deathIsHeard)
		err := s.replaced(ctx, before.ready)
		cancel()
		if err == nil {
			s.pass(w, r)
			return
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusBadGateway)
	fmt.Fprint(w, `<!doctype html><html lang="en"><title>The server died</title><h1>The server died while it answered</h1>`+
		`<p>It is started again by itself. What was written down is done. <a href="/">Go on</a>.</p></html>`)
}

// demonstrate runs a hospital with providers of its own.
func demonstrate(ctx context.Context, out io.Writer, o options) error {
	fmt.Fprintln(out, "Starting Google, Zoom, Razorpay, mail and WhatsApp on this machine, and the hospital …")
	s, err := supervise(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The hospital is open: %s\nIt keeps everything in %s. Stop it with Ctrl-C.\n", s.base, filepath.Join(s.folder, "hospital.db"))
	<-s.ended
	return errors.Join(s.close(), s.endedBy(ctx))
}

// endedBy is why the hospital ended, if nobody wanted it to.
func (s *supervisor) endedBy(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return s.err
}
