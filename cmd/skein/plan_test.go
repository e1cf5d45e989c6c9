package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A plan is of the graph that is given, says when an engine cannot hold it, and refuses
// what makes no sense.
func TestPlan(t *testing.T) {
	edges := filepath.Join(t.TempDir(), "edges.txt")
	if err := os.WriteFile(edges, []byte("1 2\n1 3\n2 3\n4 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _ := ask(t, exitOK, "plan", "--graph", edges, "--json")
	var p planned
	if err := json.Unmarshal([]byte(stdout), &p); err != nil || p.Load.Users != 4 || p.Load.Follows != 1 || len(p.Engines) < 4 {
		t.Errorf("%s (%v)", stdout, err)
	}
	if stdout, _ := ask(t, exitOK, "plan", "--users", "1000000000"); !strings.Contains(stdout, "This postgres is larger than a machine") {
		t.Errorf("of a billion users: %s", stdout)
	}
	for _, wrong := range [][]string{{"--active", "2"}, {"--posts", "NaN"}, {"--machine-disk", "0"}, {"--graph", edges, "--users", "3"}} {
		if _, stderr := ask(t, exitUsage, append([]string{"plan"}, wrong...)...); !strings.Contains(stderr, "skein plan --help") {
			t.Errorf("%v: %s", wrong, stderr)
		}
	}
}
