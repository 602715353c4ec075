package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// source returns the text of each function in main.go, by name.
func source(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "main.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]string{}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			functions[f.Name.Name] = string(text[files.Position(f.Pos()).Offset:files.Position(f.End()).Offset])
		}
	}
	return functions
}

func TestQuickstartIsAtMost25Lines(t *testing.T) {
	t.Parallel()
	for name, text := range source(t) {
		if lines := strings.Count(text, "\n") + 1; name != "main" || lines > 25 {
			t.Errorf("func %s has %d lines", name, lines)
		}
	}
}

func TestReadmeShowsTheQuickstart(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+source(t)["main"]+"\n```\n") {
		t.Error("README.md does not show func main of examples/quickstart/main.go as it is")
	}
}
