package fault_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fault"
)

func envOf(variables map[string]string) *fault.Env {
	return fault.NewEnv(func(name string) string { return variables[name] })
}

func TestEnvNamesVariables(t *testing.T) {
	t.Parallel()
	env := envOf(map[string]string{"PORT": "x", "KEYS": "a,b", "BASE": "http://clinic.example", "ALSO": "y"})
	require.Equal(t, "x", env.Text("Addr", "PORT"))
	require.Empty(t, env.Text("Name", "NAME"))
	require.Empty(t, env.Text("Both", "NAME"))
	require.Equal(t, "y", env.Text("Both", "ALSO"))
	require.Equal(t, "x", env.Text("Two", "PORT"))
	require.Equal(t, "y", env.Text("Two", "ALSO"))
	require.Equal(t, "y", env.Text("Two", "ALSO"), "again")
	require.Equal(t, []string{"a", "b"}, env.List("Keys", "KEYS"))
	require.Empty(t, env.Base("Endpoints", "BASE"))
	env.Wrong("Mode", "is odd")

	var p fault.Problems
	p.From(env)
	for _, field := range []string{"Addr", "Name", "Both", "Two", "Keys[1]", "Other"} {
		p.Add(field, "is bad")
	}
	require.EqualError(t, p.Err("x"), "x: Endpoints start with what is not an https address (http is for loopback only): correct BASE; Mode is odd; "+
		"Addr is bad: correct PORT; Name is bad: set NAME; Both is bad: set NAME; Two is bad: correct PORT or ALSO; "+
		"Keys[1] is bad: correct KEYS; Other is bad")
}

func TestNoEnv(t *testing.T) {
	t.Parallel()
	var p fault.Problems
	p.From(nil)
	p.Required("Name", "")
	require.EqualError(t, p.Err("x"), "x: Name is required")

	env := fault.NewEnv(nil)
	require.Empty(t, env.Text("Name", "NAME"))
	require.True(t, env.Secret("Key", "KEY").IsZero())
	require.Nil(t, env.Secrets("Key", "KEY"))
	require.Nil(t, env.List("Keys", "KEYS"))
	require.Empty(t, env.Base("Endpoints", "BASE"))
	p = fault.Problems{}
	p.From(env)
	require.NoError(t, p.Err("x"), "what is not set is not wrong")
}

func TestEnvBase(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"https://proxy.example":        "https://proxy.example",
		"https://proxy.example/zoom//": "https://proxy.example/zoom",
		" http://127.0.0.1:8080/\n":    "http://127.0.0.1:8080",
		"http://[::1]:1":               "http://[::1]:1",
		"http://localhost:1":           "http://localhost:1",
		"http://proxy.example":         "",
		"https://u:p@proxy.example":    "",
		"https://proxy.example?":       "",
		"https://proxy.example?x=y":    "",
		"https://proxy.example#x":      "",
		"ftp://127.0.0.1":              "",
		"127.0.0.1:8080":               "",
		"://":                          "",
	} {
		env := envOf(map[string]string{"BASE": value})
		require.Equal(t, want, env.Base("Endpoints", "BASE"), value)
		var p fault.Problems
		p.From(env)
		require.Equal(t, want == "", p.Err("x") != nil, value)
	}
}

func TestNilPointers(t *testing.T) {
	t.Parallel()
	var p fault.Problems
	p.NotNil("Nothing", nil)
	p.NotNil("Pointer", (*fault.Words)(nil))
	p.NotNil("Func", (func())(nil))
	p.NotNil("Good", new(int))
	p.Optional("None", nil)
	p.Optional("Pointer", (*fault.Problems)(nil))
	p.Optional("Map", fault.Words(nil)) // whose methods may be called
	require.EqualError(t, p.Err("x"), "x: Nothing is required; Pointer is a nil *fault.Words; Func is a nil func(); Pointer is a nil *fault.Problems")
}
