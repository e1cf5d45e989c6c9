package main

import (
	"os"
	"strings"
	"testing"

	"skein/deploy/local/servers"
)

// TestWith: the command finds what the environment named, and what was started for
// it; its exit code is the answer; nothing is left.
func TestWith(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, name := range tested {
		t.Setenv(variables[name].test[0], name+"://given")
	}
	t.Setenv("SKEIN_TEST_REDIS", "")
	h := newHouse(t)
	code := h.run(t.Context(), "with", "sh", "-c", `echo "$SKEIN_TEST_CASSANDRA $SKEIN_TEST_REDIS" --help; exit 7`)
	if strings.Contains(h.stderr.String(), "MISSING") {
		servers.Require(t, &servers.MissingError{Engine: "redis", Why: h.stderr.String()})
	}
	said := h.stdout.String()
	if code != 7 || !strings.Contains(said, "cassandra://given redis://127.0.0.1:") || !strings.Contains(said, "--help") {
		t.Errorf("exit %d\n%s%s", code, said, &h.stderr)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// TestWithoutEngines: where none can be had the command runs on a laptop, and the
// last line says what was not tested; CI fails before it runs.
func TestWithoutEngines(t *testing.T) {
	t.Setenv("SKEIN_TEST_ENGINES", "none")
	for _, name := range tested {
		t.Setenv(variables[name].test[0], "")
	}
	h := newHouse(t)
	t.Setenv("CI", "")
	if code := h.run(t.Context(), "with", "echo", "it runs"); code != exitOK || !strings.Contains(h.stdout.String(), "it runs") {
		t.Errorf("exit %d\n%s", code, &h.stderr)
	}
	lines := strings.Split(strings.TrimSpace(h.stderr.String()), "\n")
	for i, engine := range tested {
		if line := lines[len(lines)-len(tested)+i]; !strings.HasPrefix(line, "NOT TESTED: "+engine) {
			t.Errorf("of %s the last lines say %q", engine, line)
		}
	}
	t.Setenv("CI", "true")
	if code := h.run(t.Context(), "with", "echo", "it runs"); code != exitMissing || strings.Contains(h.stdout.String(), "it runs") {
		t.Errorf("in CI: exit %d\n%s%s", code, &h.stdout, &h.stderr)
	}
}
