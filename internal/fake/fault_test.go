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
	script.FailNext(fake.Fault{Op: "get", Status: 6, Times: 3})
	script.Next("get")
	require.Equal(t, []fake.Fault{{Op: "put", Status: 4, Times: -1}, {Op: "get", Status: 6, Times: 2}}, script.Pending())
	script.Reset()
	require.Empty(t, script.Pending())
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
	first, second, lost, own := errors.New("first"), errors.New("second"), errors.New("lost"), errors.New("own")
	plan := fake.Errors{Kit: "kit"}
	plan.FailNext("get", first, nil)
	plan.FailAfter("", lost, lost)
	plan.FailNext("put", second)
	for i, want := range []struct {
		op   string
		own  error
		err  error
		text string
		done bool
	}{
		{"put", nil, lost, "kit: put: lost", true},
		{"put", own, lost, "kit: put: lost", true},
		{"put", nil, second, "kit: put: second", false},
		{"put", nil, nil, "", true},
		{"get", nil, first, "kit: get: first", false},
		{"get", own, own, "own", true},
		{"get", nil, nil, "", true},
	} {
		done := false
		answer, err := fake.Do(&plan, want.op, func() (string, error) { done = true; return "answer", want.own })
		require.Equal(t, want.done, done, i)
		if want.err == nil {
			require.NoError(t, err, i)
			require.Equal(t, "answer", answer, i)
			continue
		}
		require.ErrorIs(t, err, want.err, i)
		require.EqualError(t, err, want.text, i)
		require.Equal(t, want.own == want.err && want.own != nil, answer != "", i)
	}
	plain := new(fake.Errors)
	plain.FailNext("", first)
	_, err := fake.Do(plain, "get", func() (int, error) { return 1, nil })
	require.Equal(t, first, err)
}
