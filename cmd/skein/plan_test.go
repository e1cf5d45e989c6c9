package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"skein/cmd/internal/capacity"
	"skein/fanout"
)

// rewritePage is the variable that, if "true", has the page take what the command prints:
// after make costs.
const rewritePage = "SKEIN_REWRITE"

// The page's examples are what the command prints.
func TestCapacityPage(t *testing.T) {
	const page = "../../docs/capacity.md"
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	example := regexp.MustCompile("(?s)```\n\\$ skein (plan[^\n]*)\n(.*?)```")
	updated := example.ReplaceAllStringFunc(string(content), func(block string) string {
		examples++
		parts := example.FindStringSubmatch(block)
		p := command(t, strings.Fields(parts[1])...)
		code, stderr := p.exit(t)
		stdout := p.stdout.String()
		if code != exitOK {
			t.Errorf("skein %s: exit %d, %s", parts[1], code, stderr)
		}
		if parts[2] != stdout && os.Getenv(rewritePage) != "true" {
			t.Errorf("skein %s prints\n%s, and the page has\n%s", parts[1], stdout, parts[2])
		}
		return "```\n$ skein " + parts[1] + "\n" + stdout + "```"
	})
	if examples < 5 {
		t.Errorf("%d examples; is the page's form another?", examples)
	}
	if os.Getenv(rewritePage) == "true" {
		if err := os.WriteFile(page, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A plan reckons with the topics that fan-out makes.
func TestPlan_Partitions(t *testing.T) {
	topics := 0
	for _, topic := range fanout.Topics() {
		if topic.Partitions == capacity.Partitions {
			topics++
		}
	}
	if topics != capacity.Topics {
		t.Errorf("%d topics of %d partitions, want %d", topics, capacity.Partitions, capacity.Topics)
	}
}

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
	stdout, _ = ask(t, exitOK, "plan", "--users", "100000000")
	for _, engine := range []string{"postgres", "redis"} {
		if !strings.Contains(stdout, "\nThis "+engine+" does not spread over machines, and one is too small") {
			t.Errorf("of %s with a hundred million users: %s", engine, stdout)
		}
	}
	for _, wrong := range [][]string{{"--engines", "abacus"}, {"--active", "2"}, {"--posts", "NaN"}, {"--machine-disk", "0"}, {"--machine-cores", "0.9"}, {"--graph", edges, "--users", "3"}} {
		if _, stderr := ask(t, exitUsage, append([]string{"plan"}, wrong...)...); !strings.Contains(stderr, "skein plan --help") {
			t.Errorf("%v: %s", wrong, stderr)
		}
	}
}
