package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// homes are the words that have one declaration: one thing, one word, one place. A kit
// may have a double of its own under the same name.
var homes = map[string]string{
	"AccountID":   "store",
	"AEAD":        "store",
	"Broadcaster": "realtime",
	"Claims":      "store",
	"FieldError":  "",
	"Journal":     "realtime",
	"Keyring":     "store",
	"Meeting":     "meet",
	"Money":       "payments",
	"Notifier":    "notify",
	"Provider":    "store/oauth",
	"Receipt":     "notify",
	"Secret":      "",
	"Source":      "store/oauth",
	"TokenStore":  "store",
}

// otherWords are names that something has under another one.
var otherWords = map[string]string{
	"AppSecrets": "Secrets", "BusinessKey": "Fact", "DedupeKey": "ID", "Deduper": "store.Claims",
	"DropAfterAccept": "LoseAnswer", "DropAfterEnd": "LoseAnswer", "Dropped": "LoseRequest",
	"EventID": "ID", "HostID": "DoctorID", "IdempotencyKey": "Key", "LostAnswer": "LoseAnswer",
	"NewWebhookHandler": "NewWebhook", "OnBrake": "OnBreaker",
	"OrderByKey": "OrdersByKey", "OrderByReceipt": "OrdersByKey", "ReplayGuard": "store.Claims",
	"brake": "breaker", "flight": "attempt", "hostID": "doctorID", "land": "finish",
	"launch": "start", "obey": "a plain verb", "replayCache": "store.Claims", "sight": "a plain noun",
}

// OtherWords returns the declarations below dir that break the dictionary, each in one
// line, sorted. Tests are left out.
func OtherWords(dir string) ([]string, error) {
	var found []string
	err := eachFile(dir, func(pkg string, file *ast.File) {
		for _, word := range declared(file) {
			home, only := homes[word]
			if only && home != pkg && !testHelper(pkg) && !within(pkg, "examples") {
				found = append(found, fmt.Sprintf("%s: %s is the word of %s", pkg, word, name(home)))
			}
			if word == "Dropped" && !strings.HasSuffix(pkg, "test") { // a message that is not sent any more
				continue
			}
			if better, ok := otherWords[word]; ok {
				found = append(found, fmt.Sprintf("%s: %s is called %s", pkg, word, better))
			}
		}
	})
	slices.Sort(found)
	return slices.Compact(found), err
}

// Unredacted returns the types below dir that hide what is personal otherwise than by the
// pair LogValue and Format, sorted. An error's String is its Error.
func Unredacted(dir string) ([]string, error) {
	methods := map[string][]string{}
	err := eachFile(dir, func(pkg string, file *ast.File) {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv != nil && len(f.Recv.List) == 1 {
				name := pkg + "." + receiver(f.Recv.List[0].Type)
				methods[name] = append(methods[name], f.Name.Name)
			}
		}
	})
	var found []string
	for name, has := range methods {
		pair := slices.Contains(has, "LogValue")
		switch {
		case name == ".Secret": // hides itself from every encoding as well
		case pair != slices.Contains(has, "Format"):
			found = append(found, name+" has one of LogValue and Format")
		case pair && (slices.Contains(has, "String") || slices.Contains(has, "GoString")):
			found = append(found, name+" has String or GoString beside LogValue and Format")
		case !pair && slices.Contains(has, "GoString"):
			found = append(found, name+" has GoString in place of LogValue and Format")
		}
	}
	slices.Sort(found)
	return found, err
}

// eachFile calls f for each production file below dir, with its package's path below dir.
func eachFile(dir string, f func(pkg string, file *ast.File)) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != dir && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg, _ := filepath.Rel(dir, filepath.Dir(name))
		f(strings.TrimPrefix(filepath.ToSlash(pkg), "."), file)
		return nil
	})
}

// declared returns the names that a file declares: of types, of the fields of structs, of
// functions and of methods.
func declared(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if _, only := homes[d.Name.Name]; !only {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok {
					names = append(append(names, t.Name.Name), fields(t.Type)...)
				}
			}
		}
	}
	return names
}

// fields returns the names of a struct's fields, save the words that have one home: they
// may well be fields and methods elsewhere.
func fields(t ast.Expr) []string {
	s, ok := t.(*ast.StructType)
	if !ok {
		return nil
	}
	var names []string
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			if _, only := homes[name.Name]; !only {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func receiver(t ast.Expr) string {
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	if ident, ok := t.(*ast.Ident); ok {
		return ident.Name
	}
	return ""
}
