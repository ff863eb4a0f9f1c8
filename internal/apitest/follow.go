package apitest

import (
	"fmt"
	"go/types"
	"iter"
	"slices"
	"strings"
)

// Followed returns what the exported types of a public package have from where nobody can
// look it up: methods and fields of an internal or unexported type, which they embed or
// are another name for. One a line, sorted.
func (m *Module) Followed(pkg string) ([]string, error) {
	loaded, err := m.load(pkg)
	if err != nil {
		return nil, err
	}
	qualified := func(other *types.Package) string {
		if other == loaded {
			return ""
		}
		return other.Name()
	}
	var lines []string
	for name := range exportedTypes(loaded) {
		for method, home := range methods(name) {
			if m.hidden(home) {
				text := strings.TrimPrefix(types.TypeString(method.Type(), qualified), "func")
				lines = append(lines, fmt.Sprintf("func (%s) %s%s", name.Name(), method.Name(), text))
			}
		}
		for field := range m.hiddenFields(name) {
			lines = append(lines, fmt.Sprintf("field %s.%s %s", name.Name(), field.Name(), types.TypeString(field.Type(), qualified)))
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// hidden reports whether a type of this module has no page of its own.
func (m *Module) hidden(home *types.TypeName) bool {
	if home.Pkg() == nil {
		return false // the predeclared error
	}
	pkg, ours := m.below(home.Pkg().Path())
	return ours && (!home.Exported() || !isPublic(pkg))
}

func exportedTypes(pkg *types.Package) iter.Seq[*types.TypeName] {
	return func(yield func(*types.TypeName) bool) {
		for _, name := range pkg.Scope().Names() {
			found, ok := pkg.Scope().Lookup(name).(*types.TypeName)
			if ok && found.Exported() && !yield(found) {
				return
			}
		}
	}
}

// methods yields the exported methods of a type, promoted ones too, with the type that
// declares each.
func methods(of *types.TypeName) iter.Seq2[*types.Func, *types.TypeName] {
	return func(yield func(*types.Func, *types.TypeName) bool) {
		receiver := of.Type()
		if !types.IsInterface(receiver) {
			receiver = types.NewPointer(receiver)
		}
		for selection := range types.NewMethodSet(receiver).Methods() {
			method := selection.Obj().(*types.Func).Origin()
			home := named(method.Signature().Recv().Type())
			if method.Exported() && home != nil && !yield(method, home) {
				return
			}
		}
	}
}

// named returns the name of a type or of what it points to, and nil if it has none.
func named(t types.Type) *types.TypeName {
	t = types.Unalias(t)
	if pointer, ok := t.(*types.Pointer); ok {
		t = types.Unalias(pointer.Elem())
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj()
	}
	return nil
}

// hiddenFields yields the exported fields that a type has from hidden ones.
func (m *Module) hiddenFields(of *types.TypeName) iter.Seq[*types.Var] {
	return func(yield func(*types.Var) bool) {
		m.walk(of.Type(), false, yield)
	}
}

func (m *Module) walk(t types.Type, embedded bool, yield func(*types.Var) bool) bool {
	home := named(t)
	if home == nil {
		return true
	}
	body, ok := home.Type().Underlying().(*types.Struct)
	if !ok || embedded && !m.hidden(home) {
		return true
	}
	for field := range body.Fields() {
		if field.Exported() && m.hidden(home) && !yield(field) {
			return false
		}
		if field.Embedded() && !m.walk(field.Type(), true, yield) {
			return false
		}
	}
	return true
}
