// Package auth0_test runs Auth0's own clients, as npm has them, against the example server: the
// proof that programs written for them need no change.
package auth0_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Each script has a server to itself, whose clock it moves.
func TestClients(t *testing.T) {
	t.Parallel()
	folder, binary := install(t), build(t)
	for script, start := range map[string]func(t *testing.T, binary string) *server{
		"node-auth0.mjs":        demo,
		"auth-js.mjs":           demo,
		"auth0-js.mjs":          demo,
		"auth0-js-chromium.mjs": demoForChromium,
		"private-key-jwt.mjs":   withKeys,
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			start(t, binary).run(t, folder, script)
		})
	}
}

// A report is one line that a script prints: first its plan, then the result of each scenario.
type report struct {
	Plan    []string
	Name    string
	OK      bool
	Message string
}

// run runs a script of a folder, and makes a test of each scenario that it plans. One that it does not report has failed.
func (s *server) run(t *testing.T, folder, script string) {
	t.Helper()
	plan, results, log := s.execute(t, folder, script)
	if len(plan) == 0 {
		t.Fatalf("it planned nothing: %s", log)
	}
	for _, name := range plan {
		t.Run(name, func(t *testing.T) {
			result, reported := results[name]
			switch {
			case !reported:
				t.Errorf("not reported: %s", log)
			case !result.OK:
				t.Error(result.Message)
			}
		})
	}
	for name := range results {
		if !slices.Contains(plan, name) {
			t.Errorf("%q was reported and not planned", name)
		}
	}
}

// execute runs a script to its end.
func (s *server) execute(t *testing.T, folder, script string) (plan []string, results map[string]report, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "node", script)
	c.Dir = folder
	c.Env = append(os.Environ(), append(s.environ,
		"SERVER="+s.url, "NODE_EXTRA_CA_CERTS="+filepath.Join(s.folder, "ca.pem"), "TMPDIR="+s.folder)...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Errorf("%s: %v", script, err)
	}
	results = map[string]report{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var r report
		switch err := json.Unmarshal(lines.Bytes(), &r); {
		case err != nil:
			stderr.Write(append(lines.Bytes(), '\n')) // what an SDK prints
		case r.Plan != nil:
			plan = r.Plan
		default:
			results[r.Name] = r
		}
	}
	return plan, results, stderr.String()
}
