package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

func TestQuickstartIsAtMost25Lines(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "main.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			if lines := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; f.Name.Name != "main" || lines > 25 {
				t.Errorf("func %s has %d lines", f.Name.Name, lines)
			}
		}
	}
}
