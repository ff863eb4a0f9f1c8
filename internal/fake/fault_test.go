package fake_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
)

func TestScript(t *testing.T) {
	t.Parallel()
	var script fake.Script
	require.Zero(t, script.Next("get"), "nothing is planned")
	script.FailNext(
		fake.Fault{Op: "get", Status: 1}, fake.Fault{Status: 2}, fake.Fault{Op: "get", Status: 3, Times: 2},
		fake.Fault{Op: "put", Status: 4, Times: -1}, fake.Fault{Op: "token", Status: 5},
	)
	for i, want := range []struct {
		op     string
		status int
	}{
		{"token", 5}, {"token", 0}, {"put", 2}, {"get", 1}, {"get", 3}, {"get", 3}, {"get", 0},
		{"put", 4}, {"put", 4}, {"put", 4},
	} {
		require.Equal(t, want.status, script.Next(want.op, "token").Status, i)
	}
	script.Reset()
	require.Zero(t, script.Next("put"))
}

func TestScriptKeepsItsOwnHeader(t *testing.T) {
	t.Parallel()
	var script fake.Script
	header := http.Header{"Retry-After": {"1"}}
	script.FailNext(fake.Fault{Status: 429, Header: header})
	header.Set("Retry-After", "2")
	require.Equal(t, "1", script.Next("get").Header.Get("Retry-After"))
}

func TestErrors(t *testing.T) {
	t.Parallel()
	first, second, lost := errors.New("first"), errors.New("second"), errors.New("lost")
	var plan fake.Errors
	plan.FailNext("get", first, nil)
	plan.FailAfter("", lost)
	plan.FailNext("put", second)
	for i, want := range []struct {
		op            string
		before, after error
	}{
		{"put", nil, lost}, {"put", second, nil}, {"put", nil, nil}, {"get", first, nil}, {"get", nil, nil}, {"get", nil, nil},
	} {
		before, after := plan.Next(want.op)
		require.Equal(t, want.before, before, i)
		require.Equal(t, want.after, after, i)
	}
}
