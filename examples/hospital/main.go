// Command hospital is a whole application on the telemed SDK. A doctor connects Google
// and Zoom. A patient books and pays. The meeting is made, mail and WhatsApp go out, and
// the clinic's dashboard sees it live. All providers run on this machine, and nothing
// needs to be configured.
//
//	go run ./examples/hospital          # then open the address that it prints
//	go run ./examples/hospital -check   # walks the whole visit by itself
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

	"github.com/telemed-go/telemed/examples/internal/guard"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3001", "loopback address to listen on")
	public := flag.String("url", "", "address by which browsers reach it, if a proxy on this machine ends TLS; X-Forwarded-Proto and -For are believed then")
	path := flag.String("tokens", "", "SQLite file that keeps the doctor's connections across restarts; visits are in memory all the same")
	check := flag.Bool("check", false, "walk a visit through real HTTP, print what is seen, and exit non-zero if anything is not so")
	verbose := flag.Bool("v", false, "log what the SDK logs")
	flag.Parse()
	if flag.NArg() > 0 { // "check" instead of "-check"
		fmt.Fprintln(flag.CommandLine.Output(), "hospital takes flags alone:")
		flag.Usage()
		os.Exit(2)
	}

	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *check {
		err = runCheck(ctx, os.Stdout, log)
	} else {
		err = serve(ctx, os.Stdout, *addr, *public, *path, log)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hospital:", err)
		os.Exit(1)
	}
}

// serve runs the hospital until ctx ends.
func serve(ctx context.Context, out io.Writer, addr, public, path string, log *slog.Logger) error {
	tokens, closeTokens, err := openTokens(ctx, path)
	if err != nil {
		return err
	}
	site, err := open(addr, public, tokens, log)
	if err != nil {
		return errors.Join(err, closeTokens())
	}
	fmt.Fprintf(out, "The hospital is open: %s\nStop it with Ctrl-C.\n", site.base)
	<-ctx.Done()
	return errors.Join(site.Close(), closeTokens())
}

// site is a hospital that listens, with its providers.
type site struct {
	*hospital
	server *http.Server
	done   chan error
}

// open starts the providers and the hospital on a loopback address. Without a public one,
// browsers reach it there.
func open(addr, public string, tokens keeping, log *slog.Logger) (*site, error) {
	listener, err := listen(addr)
	if err != nil {
		return nil, err
	}
	local := listener.Addr().String()
	h, err := newHospital(cmp.Or(public, "http://"+local), local, tokens, log)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &site{hospital: h, done: make(chan error, 1), server: &http.Server{
		Handler: h.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	go func() { s.done <- s.server.Serve(listener) }()
	return s, nil
}

// listen refuses addresses that others can reach, because the login has no password.
func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, fmt.Errorf("-addr must be a loopback address with a port, such as 127.0.0.1:3001")
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w (another port can be had with -addr 127.0.0.1:3002)", err)
	}
	return listener, nil
}

// endTime is how long the end may take. Who stops a process kills it a while later.
const endTime = 4 * time.Second

// Close ends the live connections first, then the server, then what the visits need.
// Requests that are not done after half of the time are cut.
func (s *site) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	half, cancelHalf := context.WithTimeout(ctx, endTime/2)
	defer cancelHalf()
	err := errors.Join(s.hub.Shutdown(half), guard.Stop(half, s.server))
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, s.hospital.Close(ctx))
}
