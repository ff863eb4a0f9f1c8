package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxComment is how many columns a line may have that holds a comment. A tab counts as
// one.
const maxComment = 100

// WideComments returns the lines below dir that hold a part of a comment and are too
// wide, as file:line. What cannot be wrapped is left out: directives, a link, and the
// output of an Example.
func WideComments(dir string) ([]string, error) {
	var wide []string
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != dir && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		lines, err := wideIn(name)
		short, _ := filepath.Rel(dir, name)
		for _, line := range lines {
			wide = append(wide, fmt.Sprintf("%s:%d", filepath.ToSlash(short), line))
		}
		return err
	})
	return wide, err
}

func wideIn(name string) (wide []int, err error) {
	source, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(source), "\n")
	for _, group := range file.Comments {
		if isOutput(group) {
			continue
		}
		for _, comment := range group.List {
			for n := files.Position(comment.Pos()).Line; n <= files.Position(comment.End()-1).Line; n++ {
				if utf8.RuneCountInString(lines[n-1]) > maxComment && wraps(lines[n-1], comment.Text) {
					wide = append(wide, n)
				}
			}
		}
	}
	return wide, nil
}

// isOutput reports whether a comment is what an Example prints.
func isOutput(group *ast.CommentGroup) bool {
	text := strings.ToLower(group.Text())
	return strings.HasPrefix(text, "output:") || strings.HasPrefix(text, "unordered output:")
}

// wraps reports whether a line could be made shorter: it is no directive, and more than
// one word.
func wraps(line, comment string) bool {
	directive := strings.HasPrefix(comment, "//") && !strings.HasPrefix(comment, "// ") && !strings.HasPrefix(comment, "//\t")
	words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "//"))
	return !directive && len(words) > 1
}
