// Command hospital is a whole application on meet/visit and SQLite. A doctor connects Google
// and Zoom. A patient books and pays. The meeting is made, mail and WhatsApp go out, and the
// clinic's dashboard sees it live. All providers run on this machine, and nothing needs to be
// configured.
//
//	go run ./examples/hospital          # then open the address that it prints
//	go run ./examples/hospital -check   # walks the whole visit, and kills itself on the way
//
// What the hospital composes and decides is in main.go and hospital.go. Its pages are in
// pages.go and web, what the demonstration shows of the local providers in panel.go.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // patients name their zones, and this machine may not know them

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/guard"
)

// options are where a hospital is, and what it is with.
type options struct {
	addr, public string              // where it listens, and where browsers reach it if that differs
	db           string              // SQLite file
	env          func(string) string // where the providers are
	panel        *panel              // what the local providers have; nil if they run elsewhere
	pace         time.Duration       // after twice of it a process counts as dead; 0 for what is usual
	log          *slog.Logger
}

func main() {
	o := options{env: os.Getenv, log: slog.New(slog.DiscardHandler)}
	flag.StringVar(&o.addr, "addr", "127.0.0.1:3001", "loopback address to listen on")
	flag.StringVar(&o.public, "url", "", "where browsers reach it, by a proxy on this machine that ends TLS and is believed")
	flag.StringVar(&o.db, "db", "", "with -env: SQLite file that keeps everything; if empty, a temporary one")
	flag.DurationVar(&o.pace, "pace", 0, "for -check: after twice of it a process counts as dead; if 0, 15s")
	env := flag.Bool("env", false, "for -check: the providers run elsewhere, and the environment says where")
	check := flag.Bool("check", false, "walk a visit, kill the hospital on the way, print what is seen; non-zero if it is wrong")
	verbose := flag.Bool("v", false, "log what the SDK logs")
	flag.Parse()
	if *verbose {
		o.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	switch {
	case flag.NArg() > 0: // "check" instead of "-check"
		err = errors.New("it takes flags alone; see -help")
	case *check:
		err = runCheck(ctx, os.Stdout, o.log)
	case *env:
		err = serve(ctx, os.Stdout, o)
	default:
		err = demonstrate(ctx, os.Stdout, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hospital:", err)
		os.Exit(1)
	}
}

// serve runs the hospital until ctx ends. What is under way is finished then.
func serve(ctx context.Context, out io.Writer, o options) error {
	h, err := open(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The hospital is open: %s\nIt keeps everything in %s. Stop it with Ctrl-C.\n", h.base, h.db)
	return h.run(ctx)
}

// open listens on a loopback address and composes the hospital.
func open(ctx context.Context, o options) (*hospital, error) {
	listener, err := listen(o.addr)
	if err != nil {
		return nil, err
	}
	h := &hospital{options: o, listener: listener, base: cmp.Or(o.public, "http://"+listener.Addr().String())}
	if err := h.compose(ctx); err != nil {
		return nil, errors.Join(err, h.close(), listener.Close())
	}
	if o.panel != nil {
		o.panel.follow("http://" + listener.Addr().String())
	}
	return h, nil
}

func (h *hospital) run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(h.listener) }()
	err := h.visits.Run(ctx)
	err = errors.Join(err, telemed.Shutdown(endTime/2, h.live, guard.Server{Server: h.server}), h.close())
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// endTime is how long the end may take once nothing is under way.
const endTime = 4 * time.Second

// listen refuses addresses that others can reach, because the login has no password.
func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, errors.New("-addr must be a loopback address with a port, such as 127.0.0.1:3001")
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w (another port can be had with -addr 127.0.0.1:3002)", err)
	}
	return listener, nil
}
