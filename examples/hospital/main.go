// Command hospital is a whole application on meet/visit and SQLite. A doctor connects Google
// and Zoom. A patient books and pays. The meeting is made, mail and WhatsApp go out, and the
// clinic's dashboard sees it live. All providers run on this machine, and nothing needs to be
// configured.
//
//	go run ./examples/hospital          # then open the address that it prints
//	go run ./examples/hospital -check   # walks the whole visit, and kills itself on the way
//
// What the hospital composes and decides is in main.go and hospital.go. Its pages are in
// pages.go, patient.go, staff.go and web. What breaks it, and starts it again, is in
// supervise.go, break.go and panel.go.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // patients name their zones, and this machine may not know them

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/store/oauth"
)

// options are where a hospital is, and what it is with.
type options struct {
	addr, public string              // where it listens, and where browsers reach it if that differs
	db           string              // the SQLite file
	env          func(string) string // where the providers are
	bodyTime     time.Duration       // how long a form may take to arrive; 0 for what is usual
	pace         time.Duration       // after twice of it a process counts as dead; 0 for what is usual
	log          *slog.Logger
}

func main() {
	o := options{env: os.Getenv, log: slog.New(slog.DiscardHandler)}
	flag.StringVar(&o.addr, "addr", "127.0.0.1:3001", "loopback address to listen on")
	flag.StringVar(&o.public, "url", "", "where browsers reach it by a proxy on this machine, which is believed")
	check := flag.Bool("check", false, "walk a visit, kill the hospital on the way, and print what is seen")
	verbose := flag.Bool("v", false, "log what the SDK logs")
	flag.Parse()
	if *verbose {
		o.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	do := demonstrate
	switch {
	case flag.NArg() > 0:
		log.Fatal("hospital: it takes flags alone; see -help")
	case *check:
		do = func(ctx context.Context, out io.Writer, o options) error { return runCheck(ctx, out, o, false) }
	case os.Getenv(childDB) != "":
		do = serveChild // of a supervisor, which kills it
	}
	err := do(ctx, os.Stdout, o)
	stop()
	if err != nil {
		log.Fatal("hospital: ", err)
	}
}

// listening is what a hospital says that is open, before its address.
const listening = "The hospital listens on "

// serve runs the hospital until ctx ends. What is under way is finished then.
func serve(ctx context.Context, out io.Writer, o options) error {
	h, err := open(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, listening+h.listener.Addr().String())
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
		return nil, errors.Join(err, listener.Close())
	}
	return h, nil
}

// run ends first what others wait for. Who stops a process kills it a while later.
func (h *hospital) run(ctx context.Context) error {
	go oauth.Tend(ctx, h.google.Tokens(), h.zoom.Tokens())
	go h.server.Serve(h.listener)
	return errors.Join(h.visits.Run(ctx), telemed.Shutdown(2*time.Second, h.door.live, guard.Server{Server: h.server}),
		telemed.Shutdown(2*time.Second, h.google, h.zoom, h.mail, h.door), h.rows.Close())
}
