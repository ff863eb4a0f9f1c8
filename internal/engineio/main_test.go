package engineio

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func newServer(t *testing.T, cfg Config) *Server {
	t.Helper()
	var p fault.Problems
	server := New(cfg, &p)
	require.NoError(t, p.Err("engineio"))
	return server
}

// silent takes messages and answers none.
type silent struct{}

func (silent) Message([]byte, bool) error { return nil }
func (silent) Wait()                      {}
func (silent) Beat()                      {}
func (silent) Closed(error)               {}
