package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Module is the packages of one module, with their types. It is safe for concurrent use.
type Module struct {
	path     string
	packages map[string]listed // by import path, with all that they stand on
	files    *token.FileSet

	mu       sync.Mutex // compiled remembers what it has read
	compiled types.Importer
}

// listed is what `go list -json` tells of a package.
type listed struct {
	ImportPath, Dir, Export            string
	GoFiles, TestGoFiles, XTestGoFiles []string
}

// Load returns the module called path, whose folder is dir. It compiles what is not
// compiled yet.
func Load(dir, path string) (*Module, error) {
	cmd := exec.Command("go", "list", "-export", "-deps",
		"-json=ImportPath,Dir,Export,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("apitest: %w\n%s", err, stderr.String())
	}
	m := &Module{path: path, packages: map[string]listed{}, files: token.NewFileSet()}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			m.compiled = importer.ForCompiler(m.files, "gc", m.export)
			return m, nil
		case err != nil:
			return nil, fmt.Errorf("apitest: %w", err)
		}
		m.packages[p.ImportPath] = p
	}
}

func (m *Module) export(path string) (io.ReadCloser, error) {
	p, ok := m.packages[path]
	if !ok || p.Export == "" {
		return nil, fmt.Errorf("apitest: %s is not compiled", path)
	}
	return os.Open(p.Export)
}

// Public returns the packages that an application can import, by their paths below the
// module's, sorted. The root is "".
func (m *Module) Public() []string {
	var public []string
	for path := range m.packages {
		if pkg, ok := m.below(path); ok && isPublic(pkg) {
			public = append(public, pkg)
		}
	}
	slices.Sort(public)
	return public
}

func isPublic(pkg string) bool {
	return !strings.Contains("/"+pkg+"/", "/internal/") && !strings.HasPrefix(pkg, "examples/")
}

// below returns the rest of a path that is the module's.
func (m *Module) below(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, m.path)
	return strings.TrimPrefix(rest, "/"), ok && (rest == "" || rest[0] == '/')
}

// load returns the types of a public package.
func (m *Module) load(pkg string) (*types.Package, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.compiled.Import(strings.TrimSuffix(m.path+"/"+pkg, "/"))
}

// checked is test files with what their names mean.
type checked struct {
	files []*ast.File
	uses  map[*ast.Ident]types.Object
}

// check finds out what the names in files mean, in the bodies of Examples alone. What
// cannot be found out, such as the names of a package that only tests import, is left out.
func (m *Module) check(p listed, names ...string) (checked, error) {
	c := checked{uses: map[*ast.Ident]types.Object{}}
	for _, name := range names {
		file, err := parser.ParseFile(m.files, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return checked{}, fmt.Errorf("apitest: %w", err)
		}
		leaveExamples(file)
		c.files = append(c.files, file)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	config := types.Config{Importer: m.compiled, Error: func(error) {}}
	_, _ = config.Check(p.ImportPath, m.files, c.files, &types.Info{Uses: c.uses})
	return c, nil
}

// leaveExamples takes the bodies of all other functions out of a file.
func leaveExamples(file *ast.File) {
	for _, declaration := range file.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && !isExample(f) {
			f.Body = nil
		}
	}
}

func isExample(f *ast.FuncDecl) bool {
	return f.Recv == nil && strings.HasPrefix(f.Name.Name, "Example")
}
