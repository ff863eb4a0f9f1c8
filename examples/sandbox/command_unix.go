//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup gives a command that does not stand at a terminal a process group of its own,
// so that signals reach its children too: go run passes none on.
func ownGroup(cmd *exec.Cmd) bool {
	terminal, err := os.Open("/dev/tty")
	if err == nil {
		_ = terminal.Close()
		return false
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return true
}

// pass hands a signal on.
func pass(cmd *exec.Cmd, s os.Signal, own bool) {
	number, ok := s.(syscall.Signal)
	switch {
	case !ok:
	case own:
		_ = syscall.Kill(-cmd.Process.Pid, number) // it has ended
	default:
		_ = cmd.Process.Signal(s) // it has ended
	}
}

// killed is the exit status of a command that a signal has ended.
func killed(exit *exec.ExitError) int {
	if how, ok := exit.Sys().(syscall.WaitStatus); ok && how.Signaled() {
		return 128 + int(how.Signal())
	}
	return exitFailed
}
