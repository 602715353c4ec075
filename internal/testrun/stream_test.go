package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tested runs "go test -json" over a module of the given files, by path, and returns the tally and what was printed.
func tested(t *testing.T, files map[string]string) (tally, string, error) {
	t.Helper()
	folder := t.TempDir()
	files["go.mod"] = "module sample\n\ngo 1.25.0\n"
	for path, text := range files {
		path = filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("go", "test", "-json", "./...")
	c.Dir, c.Env = folder, append(os.Environ(), "GOWORK=off")
	var sum tally
	var printed bytes.Buffer
	err := sum.stream(c, &printed)
	return sum, printed.String(), err
}

const head = "package sample\n\nimport \"testing\"\n\n"

func TestEachTestFunctionIsCountedOnceWithTheReasonIfItIsSkipped(t *testing.T) {
	t.Parallel()
	sum, printed, err := tested(t, map[string]string{"sample_test.go": head + `
		func TestGood(t *testing.T) { t.Run("part", func(t *testing.T) { t.Log("not shown") }) }
		func TestSkipped(t *testing.T) { t.Skip("no such server") }
		func TestPartSkipped(t *testing.T) { t.Run("part", func(t *testing.T) { t.Skip("no time") }) }`})
	if err != nil || sum.passed != 2 || len(sum.failed) != 0 {
		t.Errorf("%d passed, failed: %q, %v", sum.passed, sum.failed, err)
	}
	if sum.skipped != 1 {
		t.Errorf("%d functions skipped, want 1", sum.skipped)
	}
	want := []skip{
		{"sample.TestSkipped", "sample_test.go:7: no such server"},
		{"sample.TestPartSkipped/part", "sample_test.go:8: no time"},
	}
	if !slices.Equal(sum.skips, want) {
		t.Errorf("skipped %q, want %q", sum.skips, want)
	}
	if !strings.Contains(printed, "ok  \tsample") || strings.Contains(printed, "not shown") {
		t.Errorf("printed %q, want the line of the package and no more", printed)
	}
}

func TestWhateverFailsIsCountedAndShown(t *testing.T) {
	t.Parallel()
	sum, printed, err := tested(t, map[string]string{
		"sample_test.go":        head + `func TestBad(t *testing.T) { t.Run("part", func(t *testing.T) { t.Error("wrong answer") }) }`,
		"panics/sample_test.go": head + `func TestPanics(t *testing.T) { panic("out of cheese") }`,
		"broken/sample_test.go": head + `func TestBroken(t *testing.T) { undefinedName() }`,
		"exits/sample_test.go":  head + "import \"os\"\n" + `func TestMain(m *testing.M) { os.Exit(3) }`,
	})
	if err == nil || sum.passed != 0 {
		t.Errorf("%d passed, %v, want a failure", sum.passed, err)
	}
	want := []string{"sample.TestBad", "sample/broken. (outside its tests)", "sample/exits. (outside its tests)",
		"sample/panics.TestPanics"}
	if slices.Sort(sum.failed); !slices.Equal(sum.failed, want) {
		t.Errorf("failed %q, want %q", sum.failed, want)
	}
	for _, text := range []string{"wrong answer", "out of cheese", "undefinedName"} {
		if !strings.Contains(printed, text) {
			t.Errorf("%q is not shown in %q", text, printed)
		}
	}
}

func TestNothingMayBeMissingSkippedOrFailedWhereAllIsRequired(t *testing.T) {
	t.Parallel()
	exempt := []exemption{{"sample.TestMemory/durability/", "memory does not survive"}}
	tests := []struct {
		rule    string
		run     run
		require bool
		good    bool
	}{
		{"a skip is no failure", run{tests: tally{skips: []skip{{"sample.TestA", "why"}}}}, false, true},
		{"a skip is one where all is required", run{tests: tally{skips: []skip{{"sample.TestA", "why"}}}}, true, false},
		{"but for an exempted one", run{tests: tally{skips: []skip{{"sample.TestMemory/durability/puts", "why"}}}}, true, true},
		{"a failed test is one", run{tests: tally{failed: []string{"sample.TestA"}}}, false, false},
		{"a failed part is one", run{parts: []part{{"arch", "FAILED", true}}}, false, false},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			test.run.require, test.run.exempt = test.require, exempt
			if got := test.run.report(io.Discard); got != test.good {
				t.Errorf("good: %t, want %t", got, test.good)
			}
		})
	}
	for _, require := range []bool{false, true} {
		r := run{require: require}
		r.missing("Redis", "not found")
		if got := r.report(io.Discard); got == require {
			t.Errorf("a missing part with require %t: good %t", require, got)
		}
	}
}

func TestEachExemptionHasItsReason(t *testing.T) {
	t.Parallel()
	all, err := exemptions("skips.txt")
	if err != nil || len(all) == 0 {
		t.Errorf("%d exemptions, %v", len(all), err)
	}
	file := filepath.Join(t.TempDir(), "skips.txt")
	if err := os.WriteFile(file, []byte("# why\nsample.TestA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exemptions(file); err == nil {
		t.Error("an exemption without a reason is accepted")
	}
}
