// Arch checks which package imports which, and what each module requires.
//
//	go run ./internal/arch MODULE/go.mod ...
//
// It runs at the root of the source tree, prints each breach on a line of its own and exits with 1 if there is any. The
// rules are in rules.go.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

func main() {
	t, err := load(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "arch:", err)
		os.Exit(1)
	}
	breaches := t.breaches()
	for _, b := range breaches {
		fmt.Println(b)
	}
	if len(breaches) > 0 {
		os.Exit(1)
	}
	fmt.Printf("the arrows of %d modules are as they should be\n", len(t.modules))
}

// A tree is the source tree. The first module is the root.
type tree struct {
	modules []module
	goLine  string   // of go.work
	inWork  []string // the folders that go.work uses
}

type module struct {
	folder   string // "." for the root
	path     string
	goLine   string
	requires []string          // the direct ones
	replaces map[string]string // path to folder
	packages []goPackage
}

// A goPackage is a package as "go list -json" describes it.
type goPackage struct {
	ImportPath, Dir                    string
	GoFiles                            []string // without tests
	Imports, TestImports, XTestImports []string
	Deps                               []string // of Imports, and theirs
	uses                               []string // of pure packages: what they use of other packages, "time.Now"
}

// load reads the modules with these go.mod files, of which the first one is the root's, and go.work beside it.
func load(files []string) (tree, error) {
	if len(files) == 0 {
		return tree{}, errors.New("no go.mod named")
	}
	var t tree
	for _, file := range files {
		m, err := loadModule(filepath.Dir(file))
		if err != nil {
			return tree{}, fmt.Errorf("load %s: %w", file, err)
		}
		t.modules = append(t.modules, m)
	}
	if i := slices.IndexFunc(t.modules, func(m module) bool { return m.folder == "." }); i > 0 {
		t.modules[0], t.modules[i] = t.modules[i], t.modules[0]
	}
	var work struct {
		Go  string
		Use []struct{ DiskPath string }
	}
	if err := goJSON(".", &work, "work", "edit", "-json", "go.work"); err != nil {
		return tree{}, err
	}
	t.goLine = work.Go
	for _, use := range work.Use {
		t.inWork = append(t.inWork, filepath.Clean(use.DiskPath))
	}
	return t, nil
}

func loadModule(folder string) (module, error) {
	var file struct {
		Module  struct{ Path string }
		Go      string
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old, New struct{ Path string } }
	}
	if err := goJSON(folder, &file, "mod", "edit", "-json"); err != nil {
		return module{}, err
	}
	m := module{folder: filepath.Clean(folder), path: file.Module.Path, goLine: file.Go, replaces: map[string]string{}}
	for _, r := range file.Require {
		if !r.Indirect {
			m.requires = append(m.requires, r.Path)
		}
	}
	for _, r := range file.Replace {
		m.replaces[r.Old.Path] = filepath.Join(folder, r.New.Path)
	}
	const about = "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports,Deps"
	if err := goJSON(folder, &m.packages, "list", about, "./..."); err != nil {
		return module{}, err
	}
	for i := range m.packages {
		if p := &m.packages[i]; m.folder == "." && matchesAny(pure, m.relative(p.ImportPath)) {
			if err := p.findUses(); err != nil {
				return module{}, err
			}
		}
	}
	return m, nil
}

// goJSON runs the go command in the folder, without the workspace, and decodes what it prints: one value, or, into a
// slice of packages, one after another.
func goJSON(folder string, into any, arguments ...string) error {
	c := exec.Command("go", arguments...)
	c.Dir, c.Env, c.Stderr = folder, append(os.Environ(), "GOWORK=off"), os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	err = decode(json.NewDecoder(out), into)
	return errors.Join(err, c.Wait())
}

func decode(d *json.Decoder, into any) error {
	packages, many := into.(*[]goPackage)
	if !many {
		return d.Decode(into)
	}
	for {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		*packages = append(*packages, p)
	}
}
