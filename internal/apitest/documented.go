package apitest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Undocumented returns the exported names of the package in dir that have no doc comment,
// and the package itself if it has none, sorted. Methods that implement an interface of
// the standard library everybody knows need none.
func Undocumented(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	var missing []string
	hasPackageComment := false
	for _, entry := range entries {
		if !source(entry) {
			continue
		}
		file, err := parser.ParseFile(files, filepath.Join(dir, entry.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		hasPackageComment = hasPackageComment || file.Doc.Text() != ""
		for _, declaration := range file.Decls {
			missing = append(missing, undocumentedIn(declaration)...)
		}
	}
	if !hasPackageComment {
		missing = append(missing, "package")
	}
	slices.Sort(missing)
	return missing, nil
}

func undocumentedIn(declaration ast.Decl) []string {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		name, exported := funcName(d)
		if exported && d.Doc.Text() == "" && !wellKnown[d.Name.Name] {
			return []string{name}
		}
	case *ast.GenDecl:
		return undocumentedSpecs(d)
	}
	return nil
}

// wellKnown are methods whose contract is the interface's.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true}

func funcName(d *ast.FuncDecl) (name string, exported bool) {
	if d.Recv == nil {
		return d.Name.Name, d.Name.IsExported()
	}
	receiver := d.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	ident, ok := receiver.(*ast.Ident)
	if !ok {
		return d.Name.Name, false
	}
	return ident.Name + "." + d.Name.Name, ident.IsExported() && d.Name.IsExported()
}

// undocumentedSpecs accepts one comment for a group of constants or variables.
func undocumentedSpecs(group *ast.GenDecl) []string {
	var missing []string
	for _, spec := range group.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && group.Doc.Text() == "" && s.Doc.Text() == "" {
				missing = append(missing, s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && group.Doc.Text() == "" && s.Doc.Text() == "" && s.Comment.Text() == "" {
					missing = append(missing, name.Name)
				}
			}
		}
	}
	return missing
}

// Examples returns the names of the runnable examples in dir's tests: those with an
// Output comment.
func Examples(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("apitest: %w", err)
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Example") && hasOutput(file, f) {
				found = append(found, f.Name.Name)
			}
		}
	}
	return found, nil
}

func hasOutput(file *ast.File, f *ast.FuncDecl) bool {
	for _, comment := range file.Comments {
		text := strings.ToLower(strings.TrimSpace(comment.Text()))
		inside := comment.Pos() > f.Body.Pos() && comment.End() < f.Body.End()
		if inside && (strings.HasPrefix(text, "output:") || strings.HasPrefix(text, "unordered output:")) {
			return true
		}
	}
	return false
}
