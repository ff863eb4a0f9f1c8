package apitest_test

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/apitest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// load returns this module with its types.
var load = sync.OnceValues(func() (*apitest.Module, error) {
	return apitest.Load("../..", "github.com/telemed-go/telemed")
})

func module(t *testing.T) *apitest.Module {
	t.Helper()
	m, err := load()
	require.NoError(t, err)
	require.Contains(t, m.Public(), "zoom")
	return m
}

func golden(pkg string) string {
	return filepath.Join("testdata", strings.ReplaceAll(cmp.Or(pkg, "telemed"), "/", "_")+".txt")
}

func TestAPI(t *testing.T) {
	t.Parallel()
	known := map[string]bool{noExample: true}
	for _, pkg := range module(t).Public() {
		known[golden(pkg)] = true
		t.Run(cmp.Or(pkg, "telemed"), func(t *testing.T) {
			got, err := apitest.Exported(filepath.Join("../..", pkg))
			require.NoError(t, err)
			followed, err := module(t).Followed(pkg)
			require.NoError(t, err)
			for _, line := range followed {
				got += line + "\n"
			}
			if *update {
				require.NoError(t, os.WriteFile(golden(pkg), []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden(pkg))
			require.NoError(t, err, "a new package: run go test ./internal/apitest -update")
			require.Equal(t, string(want), got, "the API changed: if that is meant, run go test ./internal/apitest -update")
		})
	}
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		require.True(t, known[file], "%s is of a package that is gone", file)
	}
}

// A reviewer sees what a Secret and a FieldError can do where they are defined.
func TestSharedWordsAreWrittenDown(t *testing.T) {
	t.Parallel()
	api, err := os.ReadFile(golden(""))
	require.NoError(t, err)
	require.Contains(t, string(api), "func (s Secret) Reveal() string\n")
	require.Contains(t, string(api), "type FieldError struct { Field string Problem string }\n")
}

func TestExported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte(`package a
import "io"
// Doc.
type T struct { A int; b string }
func (t *T) Do(r io.Reader) error { return nil }
func hidden() {}
type secret struct{}
func (secret) Close() {}
type small interface{ m() }
const ( X = 1; y = 2 )
var E = hidden
`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a_test.go"), []byte("package a\nfunc Extra() {}"), 0o600))
	got, err := apitest.Exported(dir)
	require.NoError(t, err)
	require.Equal(t, `const X = 1
func (t *T) Do(r io.Reader) error
type T struct { A int // contains filtered or unexported fields }
var E
`, got)
}

func TestEveryNameIsDocumented(t *testing.T) {
	t.Parallel()
	for _, pkg := range module(t).Public() {
		missing, err := apitest.Undocumented(filepath.Join("../..", pkg))
		require.NoError(t, err)
		require.Empty(t, missing, pkg)
	}
}

func TestEveryPackageHasAnExample(t *testing.T) {
	t.Parallel()
	for _, pkg := range module(t).Public() {
		if pkg == "" {
			pkg = "internal/roottest" // the root's tests are there
		}
		found, err := apitest.Examples(filepath.Join("../..", pkg))
		require.NoError(t, err)
		require.NotEmpty(t, found, "%s has no Example with an Output", pkg)
	}
}

func TestUndocumented(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte(`package a
type Bare struct{}
// Doc.
type Told struct{}
func (Told) Do() {}
func (Told) Error() string { return "" }
func (hidden) Do() {}
type hidden struct{}
// All of them.
const ( A = 1; B = 2 )
var C = 1
var D = 1 // beside it
func F() {}
`), 0o600))
	missing, err := apitest.Undocumented(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"Bare", "C", "F", "Told.Do", "package"}, missing)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a_test.go"), []byte(`package a
func Example() {
	// Output: x
}
func ExampleF() { // no output: it only compiles
}
`), 0o600))
	found, err := apitest.Examples(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"Example"}, found)
}
