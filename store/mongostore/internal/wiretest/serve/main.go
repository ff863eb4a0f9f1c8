// Command serve is a wiretest server in a process of its own, for the tests of other
// modules. It prints the URI, and ends with its input.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "wiretest:", err)
		os.Exit(1)
	}
}

func serve() error {
	srv, err := wiretest.Start()
	if err != nil {
		return err
	}
	fmt.Println(srv.URI())
	_, err = io.Copy(io.Discard, os.Stdin)
	if ended := srv.Close(); ended != nil {
		return ended
	}
	return err
}
