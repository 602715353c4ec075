package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Each entry of docs/advisories.md names tests that exist, in the folder that stands before them, or says what it waits for.
func TestTheAdvisoriesNameTestsThatExist(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "advisories.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries := entriesOf(string(page))
	if len(entries) < 60 {
		t.Errorf("%d entries", len(entries))
	}
	declared := map[string]map[string]bool{}
	for i, entry := range entries {
		if number, _, _ := strings.Cut(entry, "."); number != strconv.Itoa(i+1) {
			t.Errorf("entry %d has the number %s", i+1, number)
		}
		named := references(entry)
		if len(named) == 0 && !strings.Contains(entry, "When built:") {
			t.Errorf("entry %d names no test, and does not say what it waits for", i+1)
		}
		for _, r := range named {
			if declared[r.folder] == nil {
				declared[r.folder] = testsIn(t, filepath.Join(root, filepath.FromSlash(r.folder)))
			}
			if r.folder == "" || !declared[r.folder][r.test] {
				t.Errorf("entry %d: folder %q has no test %s", i+1, r.folder, r.test)
			}
		}
	}
}

// entriesOf returns the entries of a page: paragraphs that begin with a number.
func entriesOf(page string) []string {
	var entries []string
	open := false
	for line := range strings.SplitSeq(page, "\n") {
		switch begins := regexp.MustCompile(`^\d+\. `).MatchString(line); {
		case begins:
			entries, open = append(entries, line), true
		case line == "":
			open = false
		case open:
			entries[len(entries)-1] += " " + strings.TrimSpace(line)
		}
	}
	return entries
}

// A reference is a test that an entry names.
type reference struct{ folder, test string }

// references returns the tests that an entry names.
func references(entry string) []reference {
	var all []reference
	folder := ""
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(entry, -1) {
		if regexp.MustCompile(`^(Test|Fuzz|Example)\w+$`).MatchString(m[1]) {
			all = append(all, reference{folder, m[1]})
		} else {
			folder = m[1]
		}
	}
	return all
}

// testsIn returns the names of the tests in a folder.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (\w+)\(`).FindAllSubmatch(source, -1) {
			all[string(m[1])] = true
		}
	}
	return all
}
