package apitest

import (
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// Unshown returns the exported functions and methods of the public packages that no
// Example calls, as "zoom.Client.Create", sorted. Methods that an interface of the
// standard library explains need none; neither do those of interfaces, which somebody
// else has.
func (m *Module) Unshown() ([]string, error) {
	shown, err := m.shown()
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, pkg := range m.Public() {
		loaded, err := m.load(pkg)
		if err != nil {
			return nil, err
		}
		for name, f := range m.functions(loaded) {
			if !shown[f.FullName()] && !explained[f.Name()] {
				missing = append(missing, strings.TrimPrefix(pkg+"."+name, "."))
			}
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// explained are methods whose contract is an interface's that everybody knows.
var explained = map[string]bool{
	"Error": true, "Unwrap": true, "Is": true, "As": true,
	"Format": true, "String": true, "GoString": true, "LogValue": true,
	"MarshalText": true, "MarshalJSON": true, "MarshalXML": true, "MarshalBinary": true, "MarshalBSONValue": true,
	"UnmarshalText": true, "UnmarshalJSON": true, "UnmarshalBinary": true,
}

// functions returns the exported functions of a package by their names, and the methods
// of its exported types: those that it declares itself, and those that no other package
// shows.
func (m *Module) functions(pkg *types.Package) map[string]*types.Func {
	found := map[string]*types.Func{}
	for _, name := range pkg.Scope().Names() {
		if f, ok := pkg.Scope().Lookup(name).(*types.Func); ok && f.Exported() {
			found[name] = f.Origin()
		}
	}
	for name := range exportedTypes(pkg) {
		if types.IsInterface(name.Type()) {
			continue
		}
		for method, home := range methods(name) {
			if home == name || m.hidden(home) {
				found[name.Name()+"."+method.Name()] = method
			}
		}
	}
	return found
}

// shown returns the full names of all functions and methods that the Examples of the
// module call.
func (m *Module) shown() (map[string]bool, error) {
	shown := map[string]bool{}
	for path, p := range m.packages {
		if _, ours := m.below(path); !ours {
			continue
		}
		inside, err := m.check(p, slices.Concat(p.GoFiles, p.TestGoFiles)...)
		if err != nil {
			return nil, err
		}
		beside, err := m.check(p, p.XTestGoFiles...)
		if err != nil {
			return nil, err
		}
		maps.Copy(shown, inside.called())
		maps.Copy(shown, beside.called())
	}
	return shown, nil
}

// called returns the full names of what the Examples in the files call.
func (c checked) called() map[string]bool {
	called := map[string]bool{}
	for _, file := range c.files {
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || !isExample(f) {
				continue
			}
			for node := range ast.Preorder(f.Body) {
				if name, ok := node.(*ast.Ident); ok {
					if used, ok := c.uses[name].(*types.Func); ok {
						called[used.Origin().FullName()] = true
					}
				}
			}
		}
	}
	return called
}
