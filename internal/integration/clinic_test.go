package integration_test

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What examples/clinic says of PostgreSQL: its driver, and the line that opens it.
var (
	pgxImport = regexp.MustCompile(`(?m)^\t_ "[^"]+" // for PostgreSQL: ("[^"]+")$`)
	pgxOpen   = regexp.MustCompile(`(?m)^\t// For PostgreSQL: (sql\.Open\(.*\))\n\tdb, err1 := sql\.Open\(.*\)$`)
)

// TestClinicOnPostgreSQL changes those two lines of examples/clinic as its comments say,
// and runs the example's own test of the whole flow.
func TestClinicOnPostgreSQL(t *testing.T) {
	t.Parallel()
	dsn := databases[1].dsn(t)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	path, folder := filepath.Join(root, "examples/clinic/main.go"), t.TempDir()
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	for line, put := range map[*regexp.Regexp]string{pgxImport: "\t_ $1", pgxOpen: "\tdb, err1 := $1"} {
		require.Len(t, line.FindAll(source, -1), 1, "%s", line)
		source = line.ReplaceAll(source, []byte(put))
	}
	require.NotContains(t, string(source), "sqlite")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: write(t, folder, "main.go", source)}})
	require.NoError(t, err)

	schema := "clinic_" + strings.ToLower(rand.Text()[:12])
	db := databases[1].open(t, dsn)
	_, err = db.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	defer func() {
		_, err := db.ExecContext(t.Context(), "DROP SCHEMA "+schema+" CASCADE")
		require.NoError(t, err)
	}()

	flow := exec.CommandContext(t.Context(), "go", "test", "-modfile", withPgx(t, root, folder), "-overlay", write(t, folder, "overlay.json", overlay),
		"-count=1", "-run", "^TestFlow$", "-v", "./examples/clinic")
	flow.Dir, flow.Env = root, append(os.Environ(), "GOFLAGS=", "GOWORK=off", "DATABASE_URL="+dsn+" search_path="+schema)
	out, err := flow.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestFlow")
	var visits int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+schema+".appointments").Scan(&visits))
	require.Equal(t, 2, visits)
}

func write(t *testing.T, folder, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// withPgx returns the module's go.mod with the driver in it, as go get makes it.
func withPgx(t *testing.T, root, folder string) string {
	t.Helper()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	own, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	for _, needed := range regexp.MustCompile(`(?m)^\t(github\.com/jackc/\S+ v\S+)`).FindAllSubmatch(own, -1) {
		mod = append(mod, "\nrequire "+string(needed[1])...)
	}
	var sums []byte
	for _, path := range []string{filepath.Join(root, "go.sum"), "go.sum"} {
		lines, err := os.ReadFile(path)
		require.NoError(t, err)
		sums = append(sums, lines...)
	}
	write(t, folder, "clinic.sum", sums)
	return write(t, folder, "clinic.mod", append(mod, '\n'))
}
