// Package archtest holds what the module is built like, and the tests that keep it so:
// who may import whom, what a provider brings with it, and how wide a comment may be.
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

// The floors, from the top. An arrow goes down, never up and never sideways:
//
//	examples      whole programs
//	compositions  get things done over time
//	leaves        who does it: one outside SDK or wire protocol each
//	categories    what a thing means
//	store         what is kept
//	internal      what several of them need
//	the root      the words that all share
//
// What is neither named here nor a …test package is a leaf. It may stand on what its
// folder lies in.
var (
	categories   = []string{"meet", "payments", "notify", "notify/template", "realtime"}
	compositions = []string{"payments/fulfill", "notify/outbox", "meet/visit"}
	stores       = []string{"store", "store/oauth", "store/connect", "store/durable"}
)

// sideways are the arrows that a floor does not explain.
var sideways = map[string][]string{
	"internal/webhook": {"store"}, // Claims is an application's, and says what was handled
	"internal/meetkey": {"store"}, // as above: what became of a meeting's Key
	"meet/googlemeet":  {"store/oauth"},
	"zoom":             {"meet", "store/oauth"},

	"realtime/socketio": {"realtime/socketio"}, // of internal/echo, a program as its users write them

	"store/connect":                {"store/oauth"},
	"store/sqlstore":               {"store/durable"},
	"store/storetest":              {"store/durable"}, // a suite for each contract of what is kept
	"store/mongostore":             {"store/durable"},
	"payments/fulfill":             {"store/durable"},
	"notify/outbox":                {"store/durable", "notify/template"},
	"notify/whatsapp/whatsapptest": {"notify/template"}, // whose calls are approved there
	"meet/visit": {
		"payments/fulfill", "notify/outbox", "store/durable", "payments", "notify", "notify/template", "realtime",
	},
}

// outside are the modules that a package may import directly. Whoever is missing here has
// the standard library.
var outside = map[string][]string{
	"store/oauth":           {"golang.org/x/oauth2"},
	"store/connect":         {"golang.org/x/oauth2"},
	"zoom":                  {"golang.org/x/oauth2"},
	"meet/googlemeet":       {"golang.org/x/oauth2", "google.golang.org/api"},
	"payments/razorpay":     {"github.com/razorpay/razorpay-go"},
	"notify/smtp":           {"golang.org/x/net/idna", "github.com/xdg-go/scram"},
	"notify/smtp/dkim":      {"github.com/emersion/go-msgauth/dkim"},
	"notify/smtp/smtptest":  {"github.com/emersion/go-sasl", "github.com/xdg-go/scram"},
	"internal/engineio":     {"github.com/gobwas/ws"},
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
				found = append(found, fmt.Sprintf("%s imports %s: %s", name(pkg), strings.TrimSuffix(imported, "/"), why))
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
	case within(pkg, "examples"), within(pkg, "internal") && testHelper(pkg):
		return ""
	case !inModule:
		return abroad(pkg, imported)
	case pkg == "":
		return "the root stands on the standard library alone"
	case own == "":
		return ""
	case within(own, "examples"):
		return "nothing stands on an example"
	case testHelper(own) && !testHelper(pkg):
		return "production code does not reach a fake"
	case within(own, "internal"):
		return ""
	case within(pkg, "internal"):
		return unless(slices.Contains(sideways[pkg], own), "arrows go down: internal stands on internal and the root alone")
	}
	return unless(slices.Contains(below(pkg), own), "arrows go down, never sideways")
}

// below returns which packages of the module pkg may import beside the root and internal
// ones.
func below(pkg string) []string {
	pkg, _, _ = strings.Cut(pkg, "/internal/") // what is inside a package may import what that may
	if testHelper(pkg) {
		subject := parent(pkg) // a kit knows what it fakes or judges, and stands where that does
		return slices.Concat(below(subject), []string{subject}, sideways[pkg])
	}
	allowed := slices.Clone(sideways[pkg])
	for folder := parent(pkg); folder != ""; folder = parent(folder) {
		allowed = append(allowed, folder)
	}
	if pkg != "store" {
		allowed = append(allowed, "store")
	}
	return allowed
}

func parent(pkg string) string {
	i := strings.LastIndexByte(pkg, '/')
	return pkg[:max(i, 0)]
}

// abroad judges an import from outside the module.
func abroad(pkg, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case first == "testing":
		return unless(testHelper(pkg), "production code does not reach testing")
	case !strings.Contains(first, "."):
		return "" // the standard library
	case strings.HasPrefix(imported, "github.com/stretchr/testify"):
		return "testify is for _test.go files"
	case pkg == "":
		return "the root stands on the standard library alone"
	}
	home := slices.ContainsFunc(outside[pkg], func(module string) bool { return within(imported, module) })
	return unless(home, "this dependency has another home")
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// testHelper reports whether a package is a fake, a conformance suite or a check: its
// name ends in "test". The fakes' engine is one too.
func testHelper(pkg string) bool {
	for element := range strings.SplitSeq(pkg, "/") {
		if strings.HasSuffix(element, "test") || pkg == "internal/fake" {
			return true
		}
	}
	return false
}

func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }
