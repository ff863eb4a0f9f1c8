package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/archtest"
)

// listed is what `go list -json` tells of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Module"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

// below returns the path as archtest.Graph has it.
func below(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, archtest.Module)
	return strings.TrimPrefix(rest, "/"), ok
}

func graph(t *testing.T) archtest.Graph {
	t.Helper()
	g := archtest.Graph{}
	for _, p := range list(t, "./...") {
		pkg, _ := below(p.ImportPath)
		g[pkg] = nil
		for _, imported := range p.Imports {
			if own, ok := below(imported); ok {
				imported = "./" + own
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
	planted := map[string]struct{ pkg, imported string }{
		"zoom imports ./payments: never sideways":                                                       {"zoom", "./payments"},
		"payments/razorpay imports ./store: never sideways":                                             {"payments/razorpay", "./store"},
		"meet/googlemeet imports ./store/connect: never sideways":                                       {"meet/googlemeet", "./store/connect"},
		"store imports ./store/mongostore: a category stands on store, internal and the root":           {"store", "./store/mongostore"},
		"meet imports ./notify: a category stands on store, internal and the root":                      {"meet", "./notify"},
		"internal/rest imports ./store: arrows go down: internal stands on internal and the root":       {"internal/rest", "./store"},
		"store imports testing: production code does not reach testing":                                 {"store", "testing"},
		"zoom imports ./zoom/zoomtest: production code does not reach a fake":                           {"zoom", "./zoom/zoomtest"},
		"zoom imports google.golang.org/api/calendar/v3: this dependency has another home":              {"zoom", "google.golang.org/api/calendar/v3"},
		"zoom/zoomtest imports github.com/stretchr/testify/require: testify is for _test.go files":      {"zoom/zoomtest", "github.com/stretchr/testify/require"},
		"notify imports ./examples/email: nothing stands on an example":                                 {"notify", "./examples/email"},
		"the root imports ./internal/rest: the root package is the lowest floor":                        {"", "./internal/rest"},
		"the root imports golang.org/x/oauth2: the root package is the lowest floor":                    {"", "golang.org/x/oauth2"},
		"notify/smtp imports ./internal/leaktest: production code does not reach a fake":                {"notify/smtp", "./internal/leaktest"},
		"zoom imports ./internal/fake: production code does not reach a fake":                           {"zoom", "./internal/fake"},
		"payments/razorpay imports github.com/razorpay/razorpay-gone: this dependency has another home": {"payments/razorpay", "github.com/razorpay/razorpay-gone"},
	}
	for want, plant := range planted {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			g := archtest.Graph{plant.pkg: {"./internal/fault", "./", plant.imported}, "examples/email": {"./notify/smtp", "fmt"}}
			if plant.pkg == "" {
				g[""] = []string{plant.imported}
			}
			require.Equal(t, []string{want}, archtest.Violations(g))
		})
	}
}

// links returns the packages from outside the standard library and this module that
// a program links that imports pkg.
func links(t *testing.T, pkg string) []string {
	t.Helper()
	var outside []string
	for _, p := range list(t, "-deps", "./"+pkg) {
		if _, own := below(p.ImportPath); !p.Standard && !own {
			outside = append(outside, p.ImportPath)
		}
	}
	return outside
}

func TestWeight(t *testing.T) {
	t.Parallel()
	limits := map[string]int{
		"": 0, "meet": 0, "payments": 0, "notify": 0, "notify/template": 0, "realtime": 0, "store": 0, "store/sqlstore": 0,
		"store/oauth": 2, "store/connect": 2, "zoom": 5,
	}
	for pkg, limit := range limits {
		found := links(t, pkg)
		require.LessOrEqual(t, len(found), limit, "%s links %v", pkg, found)
	}
	require.NotEmpty(t, links(t, "zoom"), "the count itself must work")
}

// What a host imports must not pull in testing, testify or a fake, however deep.
func TestProductionReachesNoTestCode(t *testing.T) {
	t.Parallel()
	g := graph(t)
	for pkg := range g {
		if pkg == "" || strings.HasSuffix(pkg, "test") || strings.HasPrefix(pkg, "examples") || strings.HasPrefix(pkg, "internal/integration") {
			continue
		}
		for _, p := range list(t, "-deps", "./"+pkg) {
			require.NotEqual(t, "testing", p.ImportPath, pkg)
			require.NotContains(t, p.ImportPath, "stretchr/testify", pkg)
		}
	}
}
