package readmetest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the module's folder, seen from here.
const root = "../../"

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// The README's Go blocks compile, together where they are of one package, and are
// formatted.
func TestREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(root + "README.md")
	require.NoError(t, err)
	blocks := goBlock.FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, 4)
	clinic, err := os.ReadFile(root + "examples/clinic/main.go")
	require.NoError(t, err)
	require.Equal(t, string(clinic), blocks[0][1], "the README shows clinic as it is")
	blocks = blocks[1:]

	// Inside the module, so that its imports are this tree; the leading dot keeps it out of
	// ./... .
	dir, err := os.MkdirTemp(".", ".readme")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	for i, block := range blocks {
		name := []string{"main.go", "meeting.go", "hospital_test.go"}[i]
		folder := filepath.Join(dir, strings.TrimSuffix(name, "_test.go"))
		if i < 2 {
			folder = filepath.Join(dir, "host")
		}
		require.NoError(t, os.MkdirAll(folder, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(block[1]), 0o600))
	}
	run(t, "go", "vet", "./"+dir+"/host")
	run(t, "go", "test", "./"+dir+"/hospital")
	require.Empty(t, run(t, "gofmt", "-l", dir), "gofmt would change a block")
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

// Every package has its line in the README's table.
func TestREADMENamesEveryPackage(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(root + "README.md")
	require.NoError(t, err)
	for path := range strings.FieldsSeq(run(t, "go", "list", root+"...")) {
		pkg := strings.TrimPrefix(strings.TrimPrefix(path, "github.com/telemed-go/telemed"), "/")
		if pkg == "" || strings.Contains(pkg, "internal") || strings.Contains(pkg, "examples") || strings.HasSuffix(pkg, "test") {
			continue
		}
		require.Contains(t, string(readme), "| `"+pkg+"` |", "%s is missing in the table", pkg)
	}
}

var (
	link   = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	quoted = regexp.MustCompile("`([a-z][a-zA-Z0-9_./-]*/[a-zA-Z0-9_./-]+|\\.ci/run)`")
)

// What the pages for people link to is there.
func TestLinks(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range []string{"README.md", ".github/CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"} {
		text, err := os.ReadFile(root + page)
		require.NoError(t, err)
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			found++
			_, err := os.Stat(filepath.Join(root, filepath.Dir(page), match[1]))
			require.NoError(t, err, page)
		}
	}
	require.Greater(t, found, 10)
}

// What CONTRIBUTING tells to open is there.
func TestTableOfChanges(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + ".github/CONTRIBUTING.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| I want to … | open … |")
	require.True(t, found)
	table, _, found = strings.Cut(table, "\n## ")
	require.True(t, found)
	paths := quoted.FindAllStringSubmatch(table, -1)
	require.Greater(t, len(paths), 15)
	for _, match := range paths {
		_, err := os.Stat(filepath.Join(root, match[1]))
		require.NoError(t, err)
	}
}

// The Go version that the README names is the one that go.mod asks for.
func TestGoVersion(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile(root + "go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	require.NotNil(t, version)
	readme, err := os.ReadFile(root + "README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "# Go "+string(version[1])+" or later")
}
