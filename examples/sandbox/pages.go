package main

import (
	"embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/telemed-go/telemed/examples/internal/guard"
)

//go:embed web
var web embed.FS

const (
	environPath   = "/env"
	sandboxHeader = "X-Telemed-Sandbox" // so that -env knows whom it asks
)

// pages are what a person sees of the providers, and what a program controls them by.
type pages struct {
	*providers
	getenv  func(string) string
	server  *http.Server
	serving sync.WaitGroup
	notes   notes
}

// servePages serves the pages at the address of the providers.
func servePages(p *providers, getenv func(string) string) (*pages, error) {
	listener, err := net.Listen("tcp", p.address(pagesPort)) //nolint:noctx // it ends with the pages
	if err != nil {
		return nil, taken(fmt.Errorf("pages: %w", err))
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String()) // it listens there
	host := reachable(p.host)
	p.pages = "http://" + net.JoinHostPort(host, port)
	s := &pages{providers: p, getenv: getenv}
	door, err := guard.New(guard.Config{Hosts: []string{net.JoinHostPort(host, port), "localhost:" + port, "127.0.0.1:" + port}})
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	// A page of a stranger must not press these buttons.
	routes := http.NewCrossOriginProtection().Handler(s.routes())
	s.server = &http.Server{Handler: door.Handler(routes), ReadHeaderTimeout: 10 * time.Second}
	s.serving.Go(func() { _ = s.server.Serve(listener) }) // ends with close
	return s, nil
}

func (s *pages) close() {
	_ = s.server.Close()
	s.serving.Wait()
}

func (s *pages) routes() http.Handler {
	mux := http.NewServeMux()
	s.controls(mux)
	mux.HandleFunc("GET /{$}", s.overview)
	mux.HandleFunc("GET /mail/{number}", s.showMail)
	mux.HandleFunc("GET /mail/{number}/{part}", s.mailPart)
	mux.HandleFunc("GET /mail/{number}/file/{file}", s.mailFile)
	for _, name := range []string{"style.css", "live.js", "icon.svg"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, web, "web/"+name) })
	}
	mux.HandleFunc("GET "+environPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(sandboxHeader, "1")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, export(s.variables(s.getenv))) // the client has gone
	})
	return mux
}

// note is what came of a button.
type note struct {
	Text    string
	Problem bool
}

// notes wait to be shown once.
type notes struct {
	mu  sync.Mutex
	all []note
}

// add notes the result of a button, or why there is none.
func (n *notes) add(result any, err error) {
	shown := note{Text: "Done."}
	switch told := result.(type) {
	case map[string]any:
		if statuses, ok := told["statuses"].([]int); ok {
			shown.Text = fmt.Sprintf("Sent. The application answered %v.", statuses)
		}
		if ahead, ok := told["ahead"].(string); ok {
			shown.Text = "The providers' clock is " + ahead + " ahead now."
		}
	case []waiting:
		shown.Text = fmt.Sprintf("Faults that wait for their requests: %d.", len(told))
	case map[string]string:
		if back := told["callback"]; back != "" {
			shown.Text = "The browser would go back to " + back
		}
	}
	if err != nil {
		shown = note{err.Error(), true}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, shown)
}

func (n *notes) take() []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}
