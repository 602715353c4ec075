package main

import (
	"fmt"
	"go/version"
	"path"
	"slices"
	"strings"
)

// A rule names packages of the root module, relative to it, and the packages that they may import from it. Both are
// patterns: of path.Match, or a folder and "/...", which means all that lies beneath.
type rule struct {
	packages string
	may      []string
}

// rules are the arrows: there are no others. The first rule that names a package counts, and a package that none names
// may not be there. A rule may name packages that are not there yet.
var rules = []rule{
	{".", []string{
		"store", "internal/machine", "internal/limit", "internal/secret", "internal/record", "internal/jose",
		"internal/message", "internal/canon", "internal/strict", "internal/outbound",
	}},
	{"internal/machine", []string{"store", "internal/limit", "internal/secret", "internal/record", "internal/canon"}},
	{"internal/limit", []string{"store"}},
	{"internal/jose", []string{"internal/outbound"}},
	{"simulate", []string{".", "passwordlesstest", "store", "store/memstore", "internal/limit"}},
	{"internal/...", nil},
	{"confirm", []string{"."}},
	{"wire/*", []string{".", "confirm", "internal/strict"}},
	{"page", []string{".", "confirm", "internal/strict"}},
	{"sender", []string{"."}},
	{"sender/sendertest", []string{"."}},
	{"sender/*", []string{".", "sender", "internal/outbound"}},
	{"passwordlesstest", []string{".", "page", "store", "store/memstore"}},
	{"passwordlesstest/servicetest", []string{".", "passwordlesstest", "store", "store/storetest"}},
	{"store", nil},
	{"store/sqlitestore", []string{"store", "store/internal/..."}},
	{"store/pgstore", []string{"store", "store/internal/..."}},
	{"store/internal/...", []string{"store", "store/internal/..."}},
	{"store/*", []string{"store"}},
}

// pure are the packages that decide: what they know of the world is handed to them.
var pure = []string{"internal/machine", "internal/limit"}

// impure are the packages, with those beneath them, that pure ones may not import.
var impure = []string{"context", "crypto/rand", "database/sql", "log", "math/rand", "net/http", "os", "sync"}

// impureNames are what pure packages may not use of the packages that they may import.
var impureNames = []string{
	"time.After", "time.AfterFunc", "time.NewTicker", "time.NewTimer", "time.Now",
	"time.Since", "time.Sleep", "time.Tick", "time.Until",
}

// drivers, and their kit, link nothing of above and aboveElse, directly or not: a program that uses a driver alone pays
// for no tokens and no templates, and nor does a test of one.
var (
	drivers   = []string{"store", "store/*", "store/internal/..."}
	above     = []string{".", "internal/jose", "internal/message"}
	aboveElse = []string{"github.com/golang-jwt"} // of other modules, with all beneath
)

// kits are for tests, and link package testing. Nothing else does: its flags have no place in a program.
var kits = []string{"store/storetest", "sender/sendertest", "passwordlesstest/servicetest", "internal/httpstory"}

// allowed are the modules that the root may require. Each user of the library pays for them; what only tests need goes
// to internal/thirdparty.
var allowed = []string{
	"github.com/golang-jwt/jwt/v5",
	"github.com/google/uuid",
	"golang.org/x/crypto",
	"golang.org/x/net",
	"golang.org/x/text",
	testify,
}

// testify is for the tests of the root only: no user shall pay for it.
const testify = "github.com/stretchr/testify"

// breaches returns what is not as it should be, one line each.
func (t tree) breaches() []string {
	root := t.modules[0]
	all := root.arrows()
	all = append(all, root.dependencies()...)
	all = append(all, root.purity()...)
	all = append(all, root.linksNothingAbove()...)
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

// arrows checks the imports between packages of the root module. Tests may import what they like, except that no
// dialect sees another.
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
			if !matchesAny(rules[i].may, to) {
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

// predictable are the packages of randomness that can be told beforehand. Kits repeat a run with it; elsewhere whatever is
// random is a secret.
var predictable = []string{"math/rand", "math/rand/v2"}

// simulator is the one program that plays with it: chance is its subject.
const simulator = "simulate"

// dependencies checks what the root module requires, and that testify, package testing and predictable randomness stay in
// tests and kits.
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
		name := m.relative(p.ImportPath)
		if slices.Contains(kits, name) {
			continue
		}
		if slices.Contains(p.Deps, "testing") {
			all = append(all, name+" must not link testing: it is no kit")
		}
		for _, path := range p.Imports {
			if slices.Contains(predictable, path) && name != simulator {
				all = append(all, fmt.Sprintf("%s must not import %s: it is no kit", name, path))
			}
		}
	}
	return all
}

// purity checks that the packages that decide read no clock and no randomness, and do no I/O.
func (m module) purity() []string {
	var all []string
	for _, p := range m.packages {
		name := m.relative(p.ImportPath)
		if !matchesAny(pure, name) {
			continue
		}
		for _, path := range p.Imports {
			if slices.ContainsFunc(impure, func(parent string) bool { return within(path, parent) }) {
				all = append(all, fmt.Sprintf("%s must not import %s: it is pure", name, path))
			}
		}
		for _, used := range p.uses {
			if slices.Contains(impureNames, used) {
				all = append(all, fmt.Sprintf("%s must not use %s: it is pure", name, used))
			}
		}
	}
	return all
}

// linksNothingAbove checks what drivers depend on.
func (m module) linksNothingAbove() []string {
	var all []string
	for _, p := range m.packages {
		name := m.relative(p.ImportPath)
		if !matchesAny(drivers, name) {
			continue
		}
		for _, dep := range p.Deps {
			if m.isAbove(dep) {
				all = append(all, fmt.Sprintf("%s must not link %s", name, m.relative(dep)))
			}
		}
	}
	return all
}

// isAbove tells whether no driver may link the package.
func (m module) isAbove(importPath string) bool {
	return within(importPath, m.path) && slices.Contains(above, m.relative(importPath)) ||
		slices.ContainsFunc(aboveElse, func(parent string) bool { return within(importPath, parent) })
}

// onlyExported checks that a nested module, tests included, imports no internal package but its own.
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

// nested checks that a nested module builds from this tree alone: it requires the root, replaces each module of the
// tree that it requires by its folder, and asks for no newer Go than go.work does.
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

// matchesAny tells whether a pattern names the package.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
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
