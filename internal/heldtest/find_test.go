package heldtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever takes a request is in one of the lists of this package.
func TestNoDoorIsMissing(t *testing.T) {
	t.Parallel()
	var known []string
	for name := range handlers(t) {
		known = append(known, name)
	}
	known = append(known, bodiless...)
	for i, name := range known {
		known[i], _, _ = strings.Cut(name, ", ")
	}
	slices.Sort(known)
	require.Equal(t, slices.Compact(known), doors(t, "../.."))
}

// doors returns the exported functions of the module that are or return an http.Handler,
// or take an *http.Request, save those that send one. Fakes are not asked: a test has no
// strangers. Neither are examples: hospital asks the same of its own.
func doors(t *testing.T, root string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "internal" || name == "examples" || name == "testdata" || strings.HasSuffix(name, "test") ||
			strings.HasPrefix(name, ".") && path != root):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.IsExported() && f.Name.Name != "RoundTrip" && handlesRequests(f) {
				found = append(found, file.Name.Name+"."+receiver(f)+f.Name.Name)
			}
		}
		return nil
	})
	require.NoError(t, err)
	slices.Sort(found)
	return slices.Compact(found)
}

func handlesRequests(f *ast.FuncDecl) bool {
	if f.Type.Results != nil && mentions(f.Type.Results, "http.Handler") {
		return true
	}
	for _, parameter := range f.Type.Params.List {
		_, isFunction := parameter.Type.(*ast.FuncType)
		if !isFunction && mentions(parameter.Type, "*http.Request") {
			return true
		}
	}
	return false
}

func mentions(node ast.Node, text string) bool {
	var b bytes.Buffer
	switch n := node.(type) {
	case *ast.FieldList:
		for _, field := range n.List {
			_ = printer.Fprint(&b, token.NewFileSet(), field.Type)
			b.WriteByte(' ')
		}
	default:
		_ = printer.Fprint(&b, token.NewFileSet(), n)
	}
	return strings.Contains(b.String(), text)
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	var b bytes.Buffer
	_ = printer.Fprint(&b, token.NewFileSet(), f.Recv.List[0].Type)
	return strings.TrimPrefix(b.String(), "*") + "."
}
