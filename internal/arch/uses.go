package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"strconv"
)

// findUses notes which names of other packages the files of the package use: the path of the import, a dot, the name.
func (p *goPackage) findUses() error {
	for _, file := range p.GoFiles {
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		paths, err := imports(tree)
		if err != nil {
			return err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if selector, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := selector.X.(*ast.Ident); ok && paths[x.Name] != "" {
					p.uses = append(p.uses, paths[x.Name]+"."+selector.Sel.Name)
				}
			}
			return true
		})
	}
	return nil
}

// imports returns the paths that a file imports, by the names that it gives them. The name of a package is taken to be
// the end of its path.
func imports(file *ast.File) (map[string]string, error) {
	paths := map[string]string{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		paths[name] = imported
	}
	return paths, nil
}
