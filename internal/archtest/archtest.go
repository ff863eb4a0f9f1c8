// Package archtest holds the import rules of the module, and the test that keeps them.
package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// Module is the path of this module.
const Module = "github.com/telemed-go/telemed"

// Graph maps each package of the module, by its path below Module, to what its production
// files import: paths below Module with a leading "./", others as they are.
type Graph map[string][]string

// categories mean something; leaves do it. Leaves are below their category, save zoom.
var categories = []string{"meet", "payments", "notify", "realtime", "store"}

// sideways are the imports that may leave the tree of arrows.
var sideways = map[string][]string{
	"store/connect":   {"store/oauth"},
	"meet/googlemeet": {"store", "store/oauth"},
	"zoom":            {"store", "store/oauth", "meet"},
}

// allowedOutside are the modules that a package may import directly. What is missing here may import the standard library.
var allowedOutside = map[string][]string{
	"store/oauth":           {"golang.org/x/oauth2"},
	"store/connect":         {"golang.org/x/oauth2"},
	"zoom":                  {"golang.org/x/oauth2"},
	"meet/googlemeet":       {"golang.org/x/oauth2", "google.golang.org/api"},
	"payments/razorpay":     {"github.com/razorpay/razorpay-go"},
	"notify/smtp":           {"gopkg.in/gomail.v2"},
	"notify/smtp/smtptest":  {"github.com/emersion/go-smtp", "github.com/emersion/go-sasl"},
	"realtime/socketio":     {"github.com/gobwas/ws"},
	"realtime/realtimetest": {"github.com/gobwas/ws"},
	"store/mongostore":      {"go.mongodb.org/mongo-driver/v2"},

	"store/mongostore/internal/wiretest": {"go.mongodb.org/mongo-driver/v2"},
}

// Violations returns what in the graph breaks a rule, each in one line, sorted.
func Violations(graph Graph) []string {
	var found []string
	for pkg, imports := range graph {
		for _, imported := range imports {
			if why := forbidden(pkg, imported); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", name(pkg), imported, why))
			}
		}
	}
	slices.Sort(found)
	return found
}

func name(pkg string) string {
	if pkg == "" {
		return "the root"
	}
	return pkg
}

// forbidden says why pkg may not import imported, or "".
func forbidden(pkg, imported string) string {
	own, inModule := strings.CutPrefix(imported, "./")
	switch {
	case pkg == "":
		return unless(!strings.Contains(strings.Split(imported, "/")[0], "."), "the root package is the lowest floor")
	case imported == "./":
		return ""
	case within(pkg, "examples"), within(pkg, "internal") && testHelper(pkg):
		return ""
	case !inModule:
		return outside(pkg, imported)
	case within(own, "examples"):
		return "nothing stands on an example"
	case within(pkg, "internal"):
		return unless(within(own, "internal"), "arrows go down: internal stands on internal and the root")
	case testHelper(pkg):
		return "" // fakes may know the package that they fake
	case testHelper(own):
		return "production code does not reach a fake"
	case within(own, "internal"), slices.Contains(sideways[pkg], own):
		return ""
	case slices.Contains(categories, pkg):
		if own == "store" {
			return ""
		}
		return "a category stands on store, internal and the root"
	}
	category, _, _ := strings.Cut(pkg, "/")
	return unless(own == category, "never sideways")
}

// outside judges an import from outside the module.
func outside(pkg, imported string) string {
	if imported == "testing" || strings.HasPrefix(imported, "testing/") {
		return unless(testHelper(pkg), "production code does not reach testing")
	}
	if !strings.Contains(strings.Split(imported, "/")[0], ".") {
		return "" // the standard library
	}
	if strings.HasPrefix(imported, "github.com/stretchr/testify") {
		return "testify is for _test.go files"
	}
	for _, allowed := range allowedOutside[pkg] {
		if imported == allowed || strings.HasPrefix(imported, allowed+"/") {
			return ""
		}
	}
	return "this dependency has another home"
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// testHelper reports whether a package is a fake, a conformance suite or a check: its name
// ends in "test". The fakes' engine is one too.
func testHelper(pkg string) bool {
	for _, element := range strings.Split(pkg, "/") {
		if strings.HasSuffix(element, "test") || pkg == "internal/fake" {
			return true
		}
	}
	return false
}

func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }
