package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

var errFailed = errors.New("something failed")

// The lines between which a document holds output.
const (
	opening = "<!-- what make simulate prints; refresh it with: go run ./simulate -docs -->\n```\n"
	closing = "```\n<!-- the end of what make simulate prints -->\n"
)

// document writes the output into the documents.
func document(results []*result) error {
	if err := rewrite("docs/limits.md", text(results)); err != nil {
		return err
	}
	return rewrite("SECURITY.md", verdicts(results))
}

// rewrite replaces what a file holds between the two lines.
func rewrite(name, output string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read a document: %w", err)
	}
	fresh, err := replace(string(old), output)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := os.WriteFile(name, []byte(fresh), 0o644); err != nil {
		return fmt.Errorf("write a document: %w", err)
	}
	return nil
}

// replace replaces what a document holds between the two lines.
func replace(document, output string) (string, error) {
	before, rest, begins := strings.Cut(document, opening)
	_, after, ends := strings.Cut(rest, closing)
	if !begins || !ends {
		return "", errors.New("no place for the output")
	}
	return before + opening + output + closing + after, nil
}
