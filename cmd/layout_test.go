package cmd_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// topLevel is all that may stand at the top of the repository, dotfiles apart.
var topLevel = []string{
	"proto", "server", "ledger", "verify", "client", "cmd",
	"go.mod", "go.sum", "buf.yaml", "buf.gen.yaml", "README.md", "LICENSE",
}

const (
	maxFileLines = 400 // of a file that is neither generated nor a test
	maxFuncLines = 60  // from the line of func to that of its closing brace
)

// TestTopLevel checks that nothing new stands at the top of the repository.
// Binaries that `go build` leaves there are ignored by git and here.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	binaries := []string{"daybook", "daybookd", "daybook-verify"}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || slices.Contains(topLevel, name) {
			continue
		}
		if !e.IsDir() && (slices.Contains(binaries, name) || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof")) {
			continue
		}
		t.Errorf("%s stands at the top level, where only %v may", name, topLevel)
	}
}

// TestNoCatchAllPackages refuses the package names that mean nothing.
func TestNoCatchAllPackages(t *testing.T) {
	walkGo(t, func(path string, _ []byte, _ *token.FileSet, _ *ast.File) {
		for _, part := range strings.Split(filepath.ToSlash(filepath.Dir(path)), "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}, part) {
				t.Errorf("%s: a package is one idea, and %q is none", path, part)
			}
		}
	})
}

// TestFilesAndFunctionsStaySmall reports every file and function that has
// outgrown its bound, all at once.
func TestFilesAndFunctionsStaySmall(t *testing.T) {
	walkGo(t, func(path string, src []byte, fset *token.FileSet, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") || ast.IsGenerated(file) {
			return
		}
		if n := bytes.Count(src, []byte("\n")); n > maxFileLines {
			t.Errorf("%s has %d lines, want at most %d", path, n, maxFileLines)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := fset.Position(f.Pos()).Line, fset.Position(f.End()).Line
			if n := last - first + 1; n > maxFuncLines {
				t.Errorf("%s:%d: %s has %d lines, want at most %d", path, first, f.Name.Name, n, maxFuncLines)
			}
		}
	})
}

// TestComments checks what every file says of itself: each package explains
// itself once, and nothing is left as a promise or silenced.
func TestComments(t *testing.T) {
	documented := map[string]bool{}
	marks := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "no" + "lint"}
	walkGo(t, func(path string, src []byte, fset *token.FileSet, file *ast.File) {
		if ast.IsGenerated(file) {
			return
		}
		dir := filepath.Dir(path)
		if !strings.HasSuffix(path, "_test.go") {
			documented[dir] = documented[dir] || file.Doc != nil
		}
		for _, group := range file.Comments {
			for _, c := range group.List {
				for _, mark := range marks {
					if strings.Contains(c.Text, mark) {
						t.Errorf("%s: a comment says %s", fset.Position(c.Pos()), mark)
					}
				}
			}
		}
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", dir)
		}
	}
}

// walkGo calls fn for every Go file of the repository, with its path from the
// top. Files that do not parse are reported.
func walkGo(t *testing.T, fn func(path string, src []byte, fset *token.FileSet, file *ast.File)) {
	t.Helper()
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != top && (name == "testdata" || name == ".git" || name == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, rel, src, parser.ParseComments)
		if err != nil {
			t.Error(err)
			return nil
		}
		fn(rel, src, fset, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
