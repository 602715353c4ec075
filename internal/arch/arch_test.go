package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sound is a tree without a breach.
func sound() tree {
	return tree{
		goLine: "1.25.0",
		inWork: []string{".", "internal/thirdparty"},
		modules: []module{
			{folder: ".", path: "m", goLine: "1.25.0", requires: []string{"github.com/google/uuid", testify}, packages: []goPackage{
				{ImportPath: "m", Imports: []string{"context", "m/internal/canon"},
					XTestImports: []string{testify + "/require", "m/store/memstore"}},
				{ImportPath: "m/internal/canon"},
				{ImportPath: "m/wire/auth0", Imports: []string{"m", "m/internal/strict"}},
				{ImportPath: "m/internal/machine", Imports: []string{"m/internal/limit", "m/store", "time"},
					uses: []string{"time.Duration", "store.Put"}},
				{ImportPath: "m/store"},
				{ImportPath: "m/store/pgstore", Imports: []string{"m/store", "m/store/internal/sqlmigrate"},
					Deps: []string{"database/sql", "m/store"}},
				{ImportPath: "m/store/storetest", Imports: []string{"m/store"}, Deps: []string{"m/store", "testing"}},
				{ImportPath: "m/passwordlesstest", Imports: []string{"m"}, Deps: []string{"m", "m/internal/jose"}},
				{ImportPath: "m/passwordlesstest/servicetest", Imports: []string{"m", "m/passwordlesstest", "m/store", "m/store/storetest"},
					Deps: []string{"m", "m/internal/jose", "testing"}},
				{ImportPath: "m/sender/smssender", Imports: []string{"m", "m/internal/outbound"}},
			}},
			{
				folder: "internal/thirdparty", path: "m/internal/thirdparty", goLine: "1.25.0",
				requires: []string{"m"}, replaces: map[string]string{"m": "."},
				packages: []goPackage{{ImportPath: "m/internal/thirdparty/pg",
					XTestImports: []string{"m/store/pgstore", "m/internal/thirdparty/servers"}}},
			},
		},
	}
}

func TestASoundTreeHasNoBreach(t *testing.T) {
	t.Parallel()
	if got := sound().breaches(); len(got) > 0 {
		t.Errorf("breaches: %q", got)
	}
}

func TestEachWrongArrowIsABreach(t *testing.T) {
	t.Parallel()
	add := func(p goPackage) func(*tree) {
		return func(t *tree) { t.modules[0].packages = append(t.modules[0].packages, p) }
	}
	nested := func(change func(*module)) func(*tree) {
		return func(t *tree) { change(&t.modules[1]) }
	}
	tests := []struct {
		rule   string
		change func(*tree)
		want   string
	}{
		{"the core imports no driver", add(goPackage{ImportPath: "m", Imports: []string{"m/store/memstore"}}),
			". must not import store/memstore"},
		{"the core shows no pages", add(goPackage{ImportPath: "m", Imports: []string{"m/page"}}),
			". must not import page"},
		{"no dialect imports another", add(goPackage{ImportPath: "m/wire/auth0", Imports: []string{"m/wire/fusionauth"}}),
			"wire/auth0 must not import wire/fusionauth"},
		{"no dialect imports another in tests", add(goPackage{ImportPath: "m/wire/auth0", XTestImports: []string{"m/wire/fusionauth"}}),
			"the tests of wire/auth0 must not import wire/fusionauth"},
		{"no dialect touches a driver", add(goPackage{ImportPath: "m/wire/auth0", Imports: []string{"m/store/memstore"}}),
			"wire/auth0 must not import store/memstore"},
		{"only SQL drivers use store/internal",
			add(goPackage{ImportPath: "m/store/redisstore", Imports: []string{"m/store/internal/sqlmigrate"}}),
			"store/redisstore must not import store/internal/sqlmigrate"},
		{"drivers do not import the root", add(goPackage{ImportPath: "m/store/redisstore", Imports: []string{"m"}}),
			"store/redisstore must not import ."},
		{"the kit of drivers does not import the root", add(goPackage{ImportPath: "m/store/storetest", Imports: []string{"m"}}),
			"store/storetest must not import ."},
		{"the kit of drivers does not link the root", add(goPackage{ImportPath: "m/store/storetest", Deps: []string{"m"}}),
			"store/storetest must not link ."},
		{"drivers do not link the root", add(goPackage{ImportPath: "m/store/redisstore", Deps: []string{"context", "m"}}),
			"store/redisstore must not link ."},
		{"the contract does not link the root", add(goPackage{ImportPath: "m/store", Deps: []string{"m"}}),
			"store must not link ."},
		{"drivers link no templates", add(goPackage{ImportPath: "m/store/internal/sqlmigrate", Deps: []string{"m/internal/message"}}),
			"store/internal/sqlmigrate must not link internal/message"},
		{"drivers link no tokens", add(goPackage{ImportPath: "m/store/redisstore", Deps: []string{"github.com/golang-jwt/jwt/v5"}}),
			"store/redisstore must not link github.com/golang-jwt/jwt/v5"},
		{"machines are handed no context", add(goPackage{ImportPath: "m/internal/machine", Imports: []string{"context"}}),
			"internal/machine must not import context: it is pure"},
		{"limits share nothing", add(goPackage{ImportPath: "m/internal/limit", Imports: []string{"sync/atomic"}}),
			"internal/limit must not import sync/atomic: it is pure"},
		{"machines read no clock",
			add(goPackage{ImportPath: "m/internal/machine", Imports: []string{"time"}, uses: []string{"time.Duration", "time.Now"}}),
			"internal/machine must not use time.Now: it is pure"},
		{"internal packages import none of ours", add(goPackage{ImportPath: "m/internal/canon", Imports: []string{"m"}}),
			"internal/canon must not import ."},
		{"each package has a rule", add(goPackage{ImportPath: "m/util"}),
			"util: no rule tells what this package may import"},
		{"testify only in tests", add(goPackage{ImportPath: "m/store/storetest", Deps: []string{testify + "/assert"}}),
			"store/storetest depends on testify outside its tests"},
		{"only kits link testing", add(goPackage{ImportPath: "m/passwordlesstest", Deps: []string{"m", "testing"}}),
			"passwordlesstest must not link testing: it is no kit"},
		{"secrets are unpredictable", add(goPackage{ImportPath: "m/internal/secret", Imports: []string{"math/rand"}}),
			"internal/secret must not import math/rand: it is no kit"},
		{"so is what a page draws", add(goPackage{ImportPath: "m/page", Imports: []string{"math/rand/v2"}}),
			"page must not import math/rand/v2: it is no kit"},
		{"an outbox comes without a kit", add(goPackage{ImportPath: "m/passwordlesstest", Imports: []string{"m/store/storetest"}}),
			"passwordlesstest must not import store/storetest"},
		{"the root requires little", func(t *tree) { t.modules[0].requires = append(t.modules[0].requires, "example.com/orm") },
			"the root go.mod must not require example.com/orm"},
		{"nested modules import exported packages only",
			nested(func(m *module) { m.packages[0].XTestImports = []string{"m/internal/canon"} }),
			"m/internal/thirdparty/pg must not import m/internal/canon"},
		{"nested modules require the root", nested(func(m *module) { m.requires = nil }),
			"internal/thirdparty: go.mod must require the root"},
		{"nested modules replace the root", nested(func(m *module) { m.replaces = nil }),
			"internal/thirdparty: go.mod must replace m by its folder"},
		{"nested modules need no newer Go than go.work", nested(func(m *module) { m.goLine = "1.25.1" }),
			"internal/thirdparty: go.mod says go 1.25.1, go.work only 1.25.0"},
		{"go.work uses each module", func(t *tree) { t.inWork = t.inWork[:1] },
			"internal/thirdparty: go.work does not use it"},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			tree := sound()
			test.change(&tree)
			if got := tree.breaches(); !slices.Equal(got, []string{test.want}) {
				t.Errorf("breaches %q, want %q", got, test.want)
			}
		})
	}
}

// Not parallel: it changes the working directory.
func TestAWrongArrowInSourceFilesIsFound(t *testing.T) {
	t.Chdir(t.TempDir())
	for path, text := range map[string]string{
		"go.work":             "go 1.25.0\nuse (\n.\n./extra\n)\n",
		"go.mod":              "module example.com/m\ngo 1.25.0\n",
		"m.go":                "package m\n",
		"wire/a/a.go":         "package a\nimport _ \"example.com/m/wire/b\"\n",
		"wire/b/b.go":         "package b\nimport _ \"example.com/m\"\n",
		"internal/canon/c.go": "package canon\n",
		"internal/limit/l.go": "package limit\nimport (\n_ \"os/exec\"\nclock \"time\"\n)\n" +
			"func left(at clock.Time) clock.Duration { return clock.Until(at) }\n",
		"internal/limit/l_test.go": "package limit\nimport \"time\"\nvar _ = time.Now\n",
		"store/pgstore/a.go":       "package a\nimport _ \"example.com/m/store/internal/b\"\n",
		"store/internal/b/b.go":    "package b\nimport _ \"example.com/m/internal/jose\"\n",
		"internal/jose/j.go":       "package jose\n",
		"extra/go.mod": "module example.com/m/extra\ngo 1.25.0\n" +
			"require example.com/m v0.0.0\nreplace example.com/m => ..\n",
		"extra/e_test.go": "package extra_test\nimport _ \"example.com/m/internal/canon\"\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := load([]string{"extra/go.mod", "go.mod"})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"store/internal/b must not import internal/jose",
		"wire/a must not import wire/b",
		"internal/limit must not import os/exec: it is pure",
		"internal/limit must not use time.Until: it is pure",
		"store/internal/b must not link internal/jose",
		"store/pgstore must not link internal/jose",
		"example.com/m/extra must not import example.com/m/internal/canon",
	}, "\n")
	if got := strings.Join(tree.breaches(), "\n"); got != want {
		t.Errorf("breaches:\n%s\nwant:\n%s", got, want)
	}
}
