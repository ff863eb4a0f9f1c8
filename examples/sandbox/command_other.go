//go:build !unix

package main

import (
	"os"
	"os/exec"
)

// ownGroup is for systems that have process groups.
func ownGroup(*exec.Cmd) bool { return false }

// pass ends the command: it cannot be asked to.
func pass(cmd *exec.Cmd, _ os.Signal, _ bool) { _ = cmd.Process.Kill() }

// killed is the exit status of a command that was ended.
func killed(*exec.ExitError) int { return exitFailed }
