package main

import (
	"fmt"
	"go/version"
	"path"
	"slices"
	"strings"
)

// A rule names packages of the root module, relative to it, and the packages that they
// may import from it. Both are patterns: of path.Match, or a folder and "/...", which
// means all that lies beneath.
type rule struct {
	packages string
	may      []string
}

// rules are the arrows: there are no others. The first rule that names a package
// counts, and a package that none names may not be there.
var rules = []rule{
	{".", []string{"store", "internal/canon", "internal/outbound"}},
	{"store", nil},
	{"wire/*", []string{".", "internal/strict"}},
	{"page", []string{".", "internal/strict"}},
	{kit, []string{".", "store"}},
	{"store/internal/...", []string{"store", "store/internal/..."}},
	{"store/*", []string{"store", "store/internal/..."}},
	{"sender/sendertest", []string{"."}},
	{"sender/*", []string{".", "internal/outbound"}},
	{"passwordlesstest", []string{"."}},
	{"internal/...", nil},
}

// allowed are the modules that the root may require. Each user of the library
// pays for them; what only tests need goes to internal/thirdparty.
var allowed = []string{
	"github.com/golang-jwt/jwt/v5",
	"github.com/google/uuid",
	"golang.org/x/crypto",
	"golang.org/x/net",
	"golang.org/x/text",
	testify,
}

// kit tests drivers, and the Service upon them: it alone beneath store links the root package.
const kit = "store/storetest"

// testify is for the tests of the root only: no user shall pay for it.
const testify = "github.com/stretchr/testify"

// breaches returns what is not as it should be, one line each.
func (t tree) breaches() []string {
	root := t.modules[0]
	all := root.arrows()
	all = append(all, root.dependencies()...)
	all = append(all, root.drivers()...)
	for _, m := range t.modules[1:] {
		all = append(all, m.onlyExported(root.path)...)
		all = append(all, t.nested(m)...)
	}
	for _, m := range t.modules {
		if !slices.Contains(t.inWork, m.folder) {
			all = append(all, m.folder+": go.work does not use it")
		}
	}
	return all
}

// arrows checks the imports between packages of the root module. Tests may import
// what they like, except that no dialect sees another.
func (m module) arrows() []string {
	var all []string
	for _, p := range m.packages {
		from := m.relative(p.ImportPath)
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.packages, from) })
		if i < 0 {
			all = append(all, from+": no rule tells what this package may import")
			continue
		}
		for _, to := range m.own(p.Imports) {
			if !slices.ContainsFunc(rules[i].may, func(may string) bool { return matches(may, to) }) {
				all = append(all, fmt.Sprintf("%s must not import %s", from, to))
			}
		}
		for _, to := range m.own(slices.Concat(p.TestImports, p.XTestImports)) {
			if matches("wire/*", from) && matches("wire/*", to) && to != from {
				all = append(all, fmt.Sprintf("the tests of %s must not import %s", from, to))
			}
		}
	}
	return all
}

// own returns the paths that are packages of the module, relative to it.
func (m module) own(paths []string) []string {
	var own []string
	for _, p := range paths {
		if within(p, m.path) {
			own = append(own, m.relative(p))
		}
	}
	return own
}

func (m module) relative(importPath string) string {
	if importPath == m.path {
		return "."
	}
	return strings.TrimPrefix(importPath, m.path+"/")
}

// dependencies checks what the root module requires, and that testify stays in tests.
func (m module) dependencies() []string {
	var all []string
	for _, path := range m.requires {
		if !slices.Contains(allowed, path) {
			all = append(all, "the root go.mod must not require "+path)
		}
	}
	for _, p := range m.packages {
		if slices.ContainsFunc(p.Deps, func(dep string) bool { return within(dep, testify) }) {
			all = append(all, m.relative(p.ImportPath)+" depends on testify outside its tests")
		}
	}
	return all
}

// drivers checks that the contract of stores and its drivers do not link the root package, by
// whatever way: a program that uses a driver alone pays for nothing else.
func (m module) drivers() []string {
	var all []string
	for _, p := range m.packages {
		from := m.relative(p.ImportPath)
		if from != "store" && !beneath(from, "store") || from == kit {
			continue
		}
		if slices.Contains(p.Deps, m.path) {
			all = append(all, from+" must not link the root package")
		}
	}
	return all
}

// onlyExported checks that a nested module, tests included, imports no internal
// package but its own.
func (m module) onlyExported(root string) []string {
	var all []string
	for _, p := range m.packages {
		for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			internal := slices.Contains(strings.Split(to, "/"), "internal")
			if internal && within(to, root) && !within(to, m.path) {
				all = append(all, fmt.Sprintf("%s must not import %s", p.ImportPath, to))
			}
		}
	}
	return all
}

// nested checks that a nested module builds from this tree alone: it requires the
// root, replaces each module of the tree that it requires by its folder, and asks for no
// newer Go than go.work does.
func (t tree) nested(m module) []string {
	var all []string
	if !slices.Contains(m.requires, t.modules[0].path) {
		all = append(all, m.folder+": go.mod must require the root")
	}
	for _, other := range t.modules {
		if slices.Contains(m.requires, other.path) && m.replaces[other.path] != other.folder {
			all = append(all, fmt.Sprintf("%s: go.mod must replace %s by its folder", m.folder, other.path))
		}
	}
	if version.Compare("go"+m.goLine, "go"+t.goLine) > 0 {
		all = append(all, fmt.Sprintf("%s: go.mod says go %s, go.work only %s", m.folder, m.goLine, t.goLine))
	}
	return all
}

func matches(pattern, name string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return beneath(name, parent)
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// beneath tells whether the package lies under the parent, which is not the root.
func beneath(name, parent string) bool { return strings.HasPrefix(name, parent+"/") }

// within tells whether the import path is the parent or lies under it.
func within(importPath, parent string) bool {
	return importPath == parent || beneath(importPath, parent)
}
