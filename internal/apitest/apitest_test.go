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
