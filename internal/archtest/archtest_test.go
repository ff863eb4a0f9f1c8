package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/archtest"
)

// root is the module's folder, seen from here.
const root = "../.."

// listed is what `go list -json` tells of a package.
type listed struct {
	ImportPath    string
	Standard      bool
	Imports, Deps []string
}

// list returns the packages of the module and all that they stand on, by their paths.
var list = sync.OnceValues(func() (map[string]listed, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports,Deps", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New(stderr.String())
	}
	packages := map[string]listed{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, err
		}
		packages[p.ImportPath] = p
	}
})

func packages(t *testing.T) map[string]listed {
	t.Helper()
	found, err := list()
	require.NoError(t, err)
	return found
}

// own returns a path of this module as archtest.Graph has it.
func own(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, archtest.Module)
	return strings.TrimPrefix(rest, "/"), ok
}

func graph(t *testing.T) archtest.Graph {
	t.Helper()
	g := archtest.Graph{}
	for _, p := range packages(t) {
		pkg, ok := own(p.ImportPath)
		if !ok {
			continue
		}
		g[pkg] = nil
		for _, imported := range p.Imports {
			if below, ok := own(imported); ok {
				imported = "./" + below
			}
			g[pkg] = append(g[pkg], imported)
		}
	}
	return g
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	g := graph(t)
	require.Contains(t, g, "zoom")
	require.Empty(t, archtest.Violations(g))
}

// Each rule must see its planted violation, and only that.
func TestPlantedViolations(t *testing.T) {
	t.Parallel()
	const (
		down = ": arrows go down, never sideways"
		home = ": this dependency has another home"
	)
	planted := map[string]struct{ pkg, imported string }{
		"zoom imports ./payments" + down:                           {"zoom", "./payments"},
		"zoom imports ./meet/googlemeet" + down:                    {"zoom", "./meet/googlemeet"},
		"payments/razorpay imports ./notify" + down:                {"payments/razorpay", "./notify"},
		"meet/googlemeet imports ./store/durable" + down:           {"meet/googlemeet", "./store/durable"},
		"store imports ./store/mongostore" + down:                  {"store", "./store/mongostore"},
		"store imports ./meet" + down:                              {"store", "./meet"},
		"meet imports ./store/oauth" + down:                        {"meet", "./store/oauth"},
		"meet imports ./payments" + down:                           {"meet", "./payments"},
		"meet/visit imports ./zoom" + down:                         {"meet/visit", "./zoom"},
		"payments/fulfill imports ./notify" + down:                 {"payments/fulfill", "./notify"},
		"zoom/zoomtest imports ./notify/whatsapp" + down:           {"zoom/zoomtest", "./notify/whatsapp"},
		"store/mongostore/internal/wiretest imports ./zoom" + down: {"store/mongostore/internal/wiretest", "./zoom"},

		"zoom imports google.golang.org/api/calendar/v3" + home:              {"zoom", "google.golang.org/api/calendar/v3"},
		"payments/razorpay imports github.com/razorpay/razorpay-gone" + home: {"payments/razorpay", "github.com/razorpay/razorpay-gone"},
		"internal/rest imports golang.org/x/oauth2" + home:                   {"internal/rest", "golang.org/x/oauth2"},

		"internal/rest imports ./store: arrows go down: internal stands on internal and the root alone": {"internal/rest", "./store"},
		"store imports testing: production code does not reach testing":                                 {"store", "testing"},
		"store imports testing/fstest: production code does not reach testing":                          {"store", "testing/fstest"},
		"zoom imports ./zoom/zoomtest: production code does not reach a fake":                           {"zoom", "./zoom/zoomtest"},
		"notify/smtp imports ./internal/leaktest: production code does not reach a fake":                {"notify/smtp", "./internal/leaktest"},
		"zoom/zoomtest imports github.com/stretchr/testify/require: testify is for _test.go files":      {"zoom/zoomtest", "github.com/stretchr/testify/require"},
		"notify imports ./examples/email: nothing stands on an example":                                 {"notify", "./examples/email"},
		"the root imports ./meet: the root stands on the standard library alone":                        {"", "./meet"},
		"the root imports golang.org/x/oauth2: the root stands on the standard library alone":           {"", "golang.org/x/oauth2"},
		"zoom imports ./internal/fake: production code does not reach a fake":                           {"zoom", "./internal/fake"},
	}
	for want, plant := range planted {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			g := archtest.Graph{
				plant.pkg:        {plant.imported},
				"examples/email": {"./notify/smtp", "fmt"},
				"meet/visit":     {"./", "./internal/fault", "./payments/fulfill", "./store"},
			}
			g[plant.pkg] = []string{"fmt", plant.imported}
			require.Equal(t, []string{want}, archtest.Violations(g))
		})
	}
}

// abroad returns the packages from outside the standard library and this module that
// a program links that imports pkg.
func abroad(t *testing.T, pkg string) []string {
	t.Helper()
	all := packages(t)
	var found []string
	for _, path := range all[strings.TrimSuffix(archtest.Module+"/"+pkg, "/")].Deps {
		if _, ours := own(path); !ours && !all[path].Standard {
			found = append(found, path)
		}
	}
	return found
}

func TestWeight(t *testing.T) {
	t.Parallel()
	limits := map[string]int{
		"": 0, "meet": 0, "payments": 0, "notify": 0, "notify/template": 0, "realtime": 0, "store": 0,
		"store/oauth": 2, "store/connect": 2, "store/sqlstore": 0, "zoom": 5,
	}
	for pkg, limit := range limits {
		require.Contains(t, graph(t), pkg)
		found := abroad(t, pkg)
		require.LessOrEqual(t, len(found), limit, "%s links %v", pkg, found)
	}
	require.NotEmpty(t, abroad(t, "zoom"), "the count itself must work")
}

// What an application imports must not pull in testing, testify or a fake, however deep.
func TestProductionReachesNoTestCode(t *testing.T) {
	t.Parallel()
	for path, p := range packages(t) {
		pkg, ours := own(path)
		if !ours || strings.HasSuffix(pkg, "test") || strings.HasPrefix(pkg, "examples") {
			continue
		}
		for _, dep := range p.Deps {
			require.NotEqual(t, "testing", dep, pkg)
			require.NotContains(t, dep, "stretchr/testify", pkg)
		}
	}
}

func TestLeavesAreComplete(t *testing.T) {
	t.Parallel()
	leaves := archtest.Leaves(graph(t))
	require.Contains(t, leaves, "zoom")
	require.Contains(t, leaves, "meet/googlemeet")
	require.NotContains(t, leaves, "meet")
	require.NotContains(t, leaves, "zoom/zoomtest")
	for _, leaf := range leaves {
		lacks, err := archtest.Lacks(root, leaf)
		require.NoError(t, err)
		require.Empty(t, lacks, "CONTRIBUTING.md says what a provider brings with it")
	}
}

// A leaf that has nothing lacks everything; one that has everything lacks nothing.
func TestLacks(t *testing.T) {
	t.Parallel()
	bare := t.TempDir()
	lacks, err := archtest.Lacks(bare, "payments/stripe")
	require.NoError(t, err)
	require.Equal(t, []string{
		"payments/stripe lacks New and Config",
		"payments/stripe lacks a golden file in apitest",
		"payments/stripe lacks a place in doc.go",
		"payments/stripe lacks a program in examples",
		"payments/stripe lacks a row in README.md",
		"payments/stripe lacks a …test package",
		"payments/stripe lacks an Example",
		"payments/stripe lacks its category's conformance run",
		"payments/stripe lacks type Error",
	}, lacks)

	full := t.TempDir()
	for name, text := range map[string]string{
		"doc.go":    "// payments/stripe does it.",
		"README.md": "| `payments/stripe` | … |",
		"internal/apitest/testdata/payments_stripe.txt": "func New(cfg Config) (*Client, error)\ntype Config struct { }\ntype Error struct { }\n",
		"payments/stripe/example_test.go":               "package stripe_test\nfunc Example() {\n// Output: paid\n}\n",
		"payments/stripe/stripe_test.go":                "package stripe_test\nfunc TestConformance(t *testing.T) { paymentstest.Run(t, nil) }\n",
		"payments/stripe/stripetest/server.go":          "package stripetest",
		"examples/stripe/main.go":                       "package main\nimport \"" + archtest.Module + "/payments/stripe\"\n",
	} {
		write(t, filepath.Join(full, name), text)
	}
	lacks, err = archtest.Lacks(full, "payments/stripe")
	require.NoError(t, err)
	require.Empty(t, lacks)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
}

// unswept are the folders whose comments nobody has wrapped yet. The list only gets
// shorter.
var unswept = map[string]bool{}

func TestNoWideComments(t *testing.T) {
	t.Parallel()
	wide, err := archtest.WideComments(root)
	require.NoError(t, err)
	wide = slices.DeleteFunc(wide, func(line string) bool { return unswept[path.Dir(line)] })
	require.Empty(t, wide, "a comment wraps at 90 columns and has none over 100")
}

func TestWideComments(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 20)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "a.go"), `package a

// `+long+`
//go:generate `+long+`

// https://example.org/`+strings.Repeat("x", 100)+`
var A = "`+long+`"

var B = 1 // `+long+`

/* `+long+`
short
`+long+` */

func Example() {
	// Output: `+long+`
}
`)
	write(t, filepath.Join(dir, ".hidden", "b.go"), "package b\n\n// "+long+"\n")
	wide, err := archtest.WideComments(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"a/a.go:3", "a/a.go:9", "a/a.go:11", "a/a.go:13"}, wide)
}
