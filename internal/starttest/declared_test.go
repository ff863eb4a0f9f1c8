package starttest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/apitest"
)

// root is the module's folder.
const root = "../.."

var (
	builds = regexp.MustCompile(`(?m)^func (New\w*)\(cfg \w*Config\) \(\*\w+, error\)$`)
	reads  = regexp.MustCompile(`(?m)^func (\w*FromEnv)\( ?getenv func\(name string\) string\b`)
)

// declared returns the functions of the public packages whose declaration fits, as
// "zoom.New".
func declared(t *testing.T, fits *regexp.Regexp) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if dir != root && (strings.HasPrefix(entry.Name(), ".") || strings.HasSuffix(entry.Name(), "test") || nested(dir)) {
			return fs.SkipDir
		}
		switch entry.Name() {
		case "internal", "examples", "testdata":
			return fs.SkipDir
		}
		exported, err := apitest.Exported(dir)
		for _, match := range fits.FindAllStringSubmatch(exported, -1) {
			found = append(found, entry.Name()+"."+match[1])
		}
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

// nested reports whether dir is a module of its own.
func nested(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
