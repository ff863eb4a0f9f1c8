package archtest

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/telemed-go/telemed/internal/apitest"
)

// Leaves returns the packages that do a thing with one provider, sorted.
func Leaves(graph Graph) []string {
	others := slices.Concat(categories, compositions, stores, []string{""})
	var leaves []string
	for pkg := range graph {
		hidden := strings.Contains("/"+pkg+"/", "/internal/")
		if !hidden && !testHelper(pkg) && !within(pkg, "examples") && !slices.Contains(others, pkg) {
			leaves = append(leaves, pkg)
		}
	}
	slices.Sort(leaves)
	return leaves
}

// without says why a leaf has not what the others have.
var without = map[string]string{
	"notify/smtp/dkim lacks New and Config":                  "New takes a domain and keys",
	"notify/smtp/dkim lacks a program in examples":           "it is a field of smtp.Config, shown by an Example",
	"notify/smtp/dkim lacks a …test package":                 "a public key is its fake: what is signed can be verified",
	"notify/smtp/dkim lacks its category's conformance run":  "it sends nothing",
	"notify/smtp/dkim lacks type Error":                      "smtp.Error has the one of Sign; those of New are telemed.ErrInvalid",
	"realtime/socketio lacks its category's conformance run": "the official client is the judge, in node_test.go",
	"realtime/socketio lacks a …test package":                "realtimetest has the client for it",
	"realtime/socketio lacks type Error":                     "it calls nobody",
	"realtime/sse lacks a program in examples":               "its Example is one: a listener needs net/http alone",
	"realtime/sse lacks its category's conformance run":      "the EventSource of browsers is the judge, in browser_test.go",
	"realtime/sse lacks a …test package":                     "any HTTP client listens to it",
	"realtime/sse lacks type Error":                          "it calls nobody",
	"store/mongostore lacks a …test package":                 "the application has a MongoDB of its own",
	"store/mongostore lacks a program in examples":           "it would need a MongoDB",
	"store/sqlstore lacks a …test package":                   "SQLite is its fake",
	"store/sqlstore lacks its category's conformance run":    "internal/integration runs it on real databases",
}

// Lacks returns what a leaf does not bring with it, one a line, sorted. root is the
// module's folder. .github/CONTRIBUTING.md has the same list for people: "Adding a
// provider".
func Lacks(root, leaf string) ([]string, error) {
	tests, err := source(filepath.Join(root, leaf, "*_test.go"))
	if err != nil {
		return nil, err
	}
	programs, err := source(filepath.Join(root, "examples", "*", "*.go"))
	if err != nil {
		return nil, err
	}
	examples, err := apitest.Examples(filepath.Join(root, leaf))
	if err != nil {
		return nil, err
	}
	category := cmp.Or(parent(leaf), "meet") // zoom makes meetings
	api := text(root, "internal/apitest/testdata/"+strings.ReplaceAll(leaf, "/", "_")+".txt")
	kit, err := os.Stat(filepath.Join(root, leaf, path.Base(leaf)+"test"))

	var lacks []string
	for what, has := range map[string]bool{
		"a …test package":                err == nil && kit.IsDir(),
		"an Example":                     len(examples) > 0,
		"its category's conformance run": runsSuite(tests, path.Base(category)+"test"),
		"a golden file in apitest":       api != "",
		"New and Config":                 strings.Contains(api, "func New(cfg Config) (") && strings.Contains(api, "type Config struct"),
		"type Error":                     strings.Contains(api, "type Error struct"),
		"a place in doc.go":              strings.Contains(text(root, "doc.go"), leaf),
		"a row in README.md":             strings.Contains(text(root, "README.md"), "| `"+leaf+"` |"),
		"a program in examples":          strings.Contains(programs, `"`+Module+"/"+leaf+`"`),
	} {
		if line := leaf + " lacks " + what; !has && without[line] == "" {
			lacks = append(lacks, line)
		}
	}
	slices.Sort(lacks)
	return lacks, nil
}

// runsSuite reports whether tests run the suite of a kit, through one handle or several.
func runsSuite(tests, kit string) bool {
	return strings.Contains(tests, kit+".Run(") || strings.Contains(tests, kit+".RunShared(")
}

// text returns what is in a file below root, and nothing if it is not there.
func text(root, name string) string {
	found, err := fs.ReadFile(os.DirFS(root), name)
	if err != nil {
		return ""
	}
	return string(found)
}

// source joins the files that fit a pattern.
func source(pattern string) (string, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		all.Write(file)
	}
	return all.String(), nil
}
