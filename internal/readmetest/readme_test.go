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

// The README has one Go block: clinic as it is, which compiles and is tested there.
func TestREADME(t *testing.T) {
	t.Parallel()
	blocks := goBlock.FindAllStringSubmatch(read(t, "README.md"), -1)
	require.Len(t, blocks, 1)
	require.Equal(t, read(t, "examples/clinic/main.go"), blocks[0][1])
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(root + path)
	require.NoError(t, err)
	return string(text)
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
	readme := read(t, "README.md")
	for path := range strings.FieldsSeq(run(t, "go", "list", root+"...")) {
		pkg := strings.TrimPrefix(strings.TrimPrefix(path, "github.com/telemed-go/telemed"), "/")
		if pkg == "" || strings.Contains(pkg, "internal") || strings.Contains(pkg, "examples") || strings.HasSuffix(pkg, "test") {
			continue
		}
		require.Contains(t, readme, "| `"+pkg+"` |", "%s is missing in the table", pkg)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	quoted  = regexp.MustCompile("`([a-z][a-zA-Z0-9_./-]*/[a-zA-Z0-9_./-]+|\\.ci/run)`")
)

// What the pages for people link to is there, and so is the heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range []string{"README.md", ".github/CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"} {
		for _, match := range link.FindAllStringSubmatch(read(t, page), -1) {
			found++
			target := page
			if match[1] != "" {
				target = filepath.Join(filepath.Dir(page), match[1])
			}
			_, err := os.Stat(filepath.Join(root, target))
			require.NoError(t, err, page)
			if match[2] != "" {
				require.Contains(t, anchors(read(t, target)), match[2], "%s has no such heading in %s", target, page)
			}
		}
	}
	require.Greater(t, found, 40)
}

// anchors returns what GitHub makes of the headings of a page.
func anchors(text string) (found []string) {
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		found = append(found, regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(strings.ReplaceAll(match[1], " ", "-")), ""))
	}
	return found
}

// Each of a stranger's twenty questions has one answer: an Example that prints something.
func TestQuestions(t *testing.T) {
	t.Parallel()
	_, list, found := strings.Cut(read(t, ".github/CONTRIBUTING.md"), "| How do I … | |\n|---|---|\n")
	require.True(t, found)
	list, _, found = strings.Cut(list, "\n\n")
	require.True(t, found)
	rows := strings.Split(list, "\n")
	require.Len(t, rows, 20)
	for _, row := range rows {
		answers := regexp.MustCompile("\\[`(Example\\w*)`\\]\\(\\.\\./([^)]*)\\)").FindAllStringSubmatch(row, -1)
		require.Len(t, answers, 1, row)
		_, body, found := strings.Cut(read(t, answers[0][2]), "\nfunc "+answers[0][1]+"() {\n")
		require.True(t, found, row)
		body, _, _ = strings.Cut(body, "\n}\n")
		require.Regexp(t, `// (Output|Unordered output):`, body, row)
	}
}

// Each task is linked from the README, and named in the documentation of the module. What
// picture there is of the demonstration is shown.
func TestTasks(t *testing.T) {
	t.Parallel()
	readme, doc := read(t, "README.md"), read(t, "doc.go")
	files, err := filepath.Glob(root + "examples/tasks/*_test.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.Contains(t, readme, "](examples/tasks/"+filepath.Base(file)+")")
		require.Contains(t, doc, filepath.Base(file))
	}
	for _, module := range []string{"examples/routers", "examples/otel"} {
		require.Contains(t, readme, "]("+module+"/")
		require.Contains(t, doc, module)
	}
	require.FileExists(t, root+".github/demonstration.png")
	require.Contains(t, readme, "](.github/demonstration.png)")
}

// What CONTRIBUTING tells to open is there.
func TestTableOfChanges(t *testing.T) {
	t.Parallel()
	_, table, found := strings.Cut(read(t, ".github/CONTRIBUTING.md"), "| I want to … | open … |")
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
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	require.NotNil(t, version)
	require.Contains(t, read(t, "README.md"), "# Go "+version[1]+" or later")
}
