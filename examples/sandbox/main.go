// Command sandbox is all providers on this machine: Google, Zoom, Razorpay, a mail server
// and WhatsApp, with pages to consent, to pay, to read what patients read and to break
// things. It runs a command, in any language, with the variables that lead there:
//
//	go run ./examples/sandbox go run ./examples/clinic
//	go run ./examples/sandbox npm start
//
// or from anywhere, without a clone:
//
//	go run github.com/telemed-go/telemed/examples/sandbox@latest npm start
//
// The command's exit status is the sandbox's, and signals reach it. Without a command the
// sandbox runs until Ctrl-C, and another terminal gets the variables:
//
//	go run ./examples/sandbox
//	eval "$(go run ./examples/sandbox -env)"
//
// Flags stand before the command:
//
//	-listen       where the pages are; the providers follow on the next five ports. With
//	              port 0 all ports are free ones.
//	-api          where the application answers. Webhooks go to PATH/payments/webhook,
//	              PATH/whatsapp and PATH/auth/zoom/doctor/events. Also WEBHOOK_BASE.
//	-certificate  where the mail server's certificate is written. If empty, to a new file
//	              that is removed at the end.
//	-env          prints the variables of the sandbox that runs at -listen, for a shell.
//
// What the environment says of the application itself stays: GOOGLE_REDIRECT_URI,
// ZOOM_REDIRECT_URI, FRONTEND_URL and CLINIC_KEY. The accounts are the sandbox's in any
// case, so that nothing real is touched. Its keys are written down in this folder: they
// protect nothing. What the providers keep is gone when it ends. The certificate is in
// EMAIL_TLS_CA as text, in EMAIL_TLS_CA_FILE as a file, and in NODE_EXTRA_CA_CERTS together
// with what that named before.
//
// # Control
//
// A test controls the sandbox by plain HTTP, at the address of the pages, which is in
// SANDBOX_URL too. GET /control is the whole list; this is its short form:
//
//	POST /control/reset                       everything anew
//	POST /control/clock                       advance=24h
//	POST /control/faults                      provider, op, kind, times, status, delay
//	POST /control/webhooks/target             api, or provider and url
//	POST /control/webhooks/hold               provider
//	POST /control/webhooks/release            provider, order=reversed
//	POST /control/webhooks/deliver            id, or provider and type; times=5
//	POST /control/payments                    order, scenario
//	POST /control/meetings                    meeting, action, name
//	POST /control/consents/allow              url of a consent page
//	GET  /control/log                         what went over the wire, nothing secret in it
//	GET  /control/mail, /control/chats, …     what arrived
//
// So an answer of Zoom's is lost, and the meeting is made nevertheless:
//
//	curl -d provider=zoom -d op=create -d kind=lose-answer localhost:4000/control/faults
//
// Requests that a page of another site makes are refused.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// process is what a sandbox has of the process that it runs in.
type process struct {
	args           []string
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	signals        <-chan os.Signal
}

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	os.Exit(run(context.Background(), process{os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr, signals}))
}

// The exit statuses of the sandbox itself.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitNoStart = 127 // the command cannot be started; shells say so too
)

// run is main until the exit status.
func run(ctx context.Context, p process) int {
	getenv := lookup(p.environ)
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	listen := flags.String("listen", "127.0.0.1:4000", "where the pages are; the providers follow on the next five ports")
	api := flags.String("api", cmp.Or(getenv("WEBHOOK_BASE"), "http://127.0.0.1:3001/api"), "where the application answers")
	certificate := flags.String("certificate", "", "where the mail server's certificate is written; if empty, to a new file that is removed at the end")
	printOnly := flags.Bool("env", false, "print the variables of the sandbox that runs at -listen")
	if err := flags.Parse(p.args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return exitUsage
	}
	if *printOnly {
		return finish(p, printVariables(ctx, p.stdout, *listen))
	}
	providers, err := start(*listen, *api, *certificate, getenv("NODE_EXTRA_CA_CERTS"))
	if err != nil {
		return finish(p, err)
	}
	defer providers.close()
	pages, err := servePages(providers, getenv)
	if err != nil {
		return finish(p, err)
	}
	defer pages.close()
	providers.introduce(p.stderr)
	if flags.NArg() == 0 {
		fmt.Fprintln(p.stderr, "sandbox: Ctrl-C ends it; for another terminal:", `eval "$(go run ./examples/sandbox -env)"`)
		<-p.signals
		return 0
	}
	return command(p, flags.Args(), merge(p.environ, providers.variables(getenv)))
}

func finish(p process, err error) int {
	if err != nil {
		fmt.Fprintln(p.stderr, "sandbox:", err)
		return exitFailed
	}
	return 0
}
