package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// command runs args until it ends, and returns its exit status, as a shell tells it.
func command(p process, args, environ []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, p.stdin, p.stdout, p.stderr
	own := ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(p.stderr, "sandbox:", err)
		return exitNoStart
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-p.signals:
			// Ctrl-C reaches a command at the same terminal by itself.
			if own || s != os.Interrupt {
				pass(cmd, s, own)
			}
		case err := <-ended:
			if own {
				pass(cmd, syscall.SIGTERM, own) // children that it has left behind
			}
			return status(p, err)
		}
	}
}

// status is the exit status of a command that has ended with err.
func status(p process, err error) int {
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0
	case !ok:
		return finish(p, err)
	case exit.ExitCode() >= 0:
		return exit.ExitCode()
	}
	return killed(exit)
}
