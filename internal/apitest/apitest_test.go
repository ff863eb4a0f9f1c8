package apitest_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/apitest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const module = "github.com/telemed-go/telemed"

// public returns the packages that a host can import.
func public(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	var packages []string
	for _, path := range strings.Fields(string(out)) {
		pkg := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if pkg != "" && !strings.Contains("/"+pkg+"/", "/internal/") && !strings.HasPrefix(pkg, "examples/") {
			packages = append(packages, pkg)
		}
	}
	require.NotEmpty(t, packages)
	return packages
}

func golden(pkg string) string {
	return filepath.Join("testdata", strings.ReplaceAll(pkg, "/", "_")+".txt")
}

func TestAPI(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, pkg := range public(t) {
		known[golden(pkg)] = true
		t.Run(pkg, func(t *testing.T) {
			got, err := apitest.Exported(filepath.Join("../..", pkg))
			require.NoError(t, err)
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
	for _, pkg := range public(t) {
		missing, err := apitest.Undocumented(filepath.Join("../..", pkg))
		require.NoError(t, err)
		require.Empty(t, missing, pkg)
	}
}

func TestEveryPackageHasAnExample(t *testing.T) {
	t.Parallel()
	for _, pkg := range public(t) {
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
