// Package apitest writes down what a package exports, so that a change of it is seen in
// review.
package apitest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Exported returns every exported declaration of the package in dir, one a line, sorted,
// without comments, bodies and unexported fields.
func Exported(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	files := token.NewFileSet()
	var lines []string
	for _, entry := range entries {
		if !source(entry) {
			continue
		}
		file, err := parser.ParseFile(files, filepath.Join(dir, entry.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return "", err
		}
		ast.FileExports(file)
		for _, declaration := range file.Decls {
			found, err := describe(files, declaration)
			if err != nil {
				return "", err
			}
			lines = append(lines, found...)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n", nil
}

func source(entry fs.DirEntry) bool {
	name := entry.Name()
	return !entry.IsDir() && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}

func describe(files *token.FileSet, declaration ast.Decl) ([]string, error) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if _, exported := funcName(d); !exported {
			return nil, nil // a method of a type that nobody can name
		}
		d.Body, d.Doc = nil, nil
		line, err := printed(files, d)
		return []string{line}, err
	case *ast.GenDecl:
		return describeAll(files, d)
	}
	return nil, fmt.Errorf("apitest: %T is not known", declaration)
}

func describeAll(files *token.FileSet, group *ast.GenDecl) ([]string, error) {
	if group.Tok == token.IMPORT {
		return nil, nil
	}
	var lines []string
	for _, spec := range group.Specs {
		if values, ok := spec.(*ast.ValueSpec); ok && group.Tok == token.VAR {
			values.Values = nil // what a variable holds is no part of the API
		}
		one := &ast.GenDecl{Tok: group.Tok, Specs: []ast.Spec{spec}}
		line, err := printed(files, one)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// printed joins a declaration to one line.
func printed(files *token.FileSet, node ast.Node) (string, error) {
	var out bytes.Buffer
	if err := (&printer.Config{Mode: printer.RawFormat}).Fprint(&out, files, node); err != nil {
		return "", err
	}
	return strings.Join(strings.Fields(out.String()), " "), nil
}
