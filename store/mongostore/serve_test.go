package mongostore_test

import (
	"fmt"
	"io"
	"os"

	"github.com/telemed-go/telemed/store/mongostore/internal/wiretest"
)

// serveEnv has the test binary be a wire server until its input ends, for the tests of
// other modules. It prints the server's URI.
const serveEnv = "TELEMED_MONGOSTORE_SERVE"

func serveWire() error {
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
