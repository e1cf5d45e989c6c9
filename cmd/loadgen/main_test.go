package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// dieEnv makes this test program a server that dies at once.
const dieEnv = "LOADGEN_TEST_DIE"

func TestMain(m *testing.M) {
	if os.Getenv(dieEnv) != "" {
		fmt.Println("the disk is on fire")
		os.Exit(3)
	}
	goleak.VerifyTestMain(m)
}

// output is what a program wrote so far. A test can wait for it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	seen func()
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(p)
	if o.seen != nil && strings.Contains(o.text.String(), o.want) {
		o.seen()
		o.seen = nil
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func loadgenRun(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err output
	code = (&program{stdout: &out, stderr: &err}).run(ctx, args)
	return code, out.String(), err.String()
}

// Wrong usage is exit code 2, and the message says what is wrong.
func TestWrongUsage(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.edges")
	if err := os.WriteFile(bad, []byte("1 2\n2 x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		says string
		args []string
	}{
		{`"walk"`, []string{"walk"}},
		{"--speed", []string{"--speed", "7"}},
		{`"fast"`, []string{"--rate", "fast"}},
		{"--rate must be", []string{"--rate", "0"}},
		{"--workload must be", []string{"--workload", "storm"}},
		{"--read-share must be", []string{"demo", "--read-share", "1.5"}},
		{"absent.edges", []string{"--graph", filepath.Join(dir, "absent.edges")}},
		{"line 2", []string{"--graph", bad}},
		{"leave one out", []string{"--graph", bad, "--users", "7"}},
		{"leave one out", []string{"demo", "--graph", bad, "--celebrity-share", "0.5"}},
		{"--metrics must be a URL", []string{"--metrics", "foo"}},
		{"--users must be", []string{"--users", "1"}},
		{"--celebrity-share must be", []string{"--celebrity-share", "0.001"}},
		{"make build", []string{"demo", "--skein", filepath.Join(dir, "absent")}},
		{"--target", []string{"demo", "--target", "127.0.0.1:1"}},
	}
	for _, c := range cases {
		code, _, stderr := loadgenRun(t.Context(), append(c.args, "--out", dir)...)
		if c.args[0] == "walk" {
			code, _, stderr = loadgenRun(t.Context(), c.args...)
		}
		if code != exitUsage || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: exit %d, want %d and %q in: %s", c.args, code, exitUsage, c.says, stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	if code, stdout, _ := loadgenRun(t.Context(), "--version"); code != exitClean || stdout != "loadgen version "+version+"\n" {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// The flags are a promise to scripts.
func TestFlags(t *testing.T) {
	promised := map[string]string{
		"": "target workload graph users follows celebrities celebrity-share rate read-share burst sample " +
			"duration seed out metrics lag-bound reverse undirected skip-bad",
		"demo": "graph reverse undirected skip-bad users follows out skein duration seed",
	}
	root := (&program{}).command()
	for name, flags := range promised {
		c, _, err := root.Find(strings.Fields(name))
		if err != nil {
			t.Fatal(err)
		}
		for flag := range strings.FieldsSeq(flags) {
			if c.Flags().Lookup(flag) == nil {
				t.Errorf("loadgen %s has no --%s", name, flag)
			}
		}
	}
}

func TestNoServerIsAFault(t *testing.T) {
	code, _, stderr := loadgenRun(t.Context(), "--target", "127.0.0.1:1", "--users", "500", "--follows", "10000",
		"--out", t.TempDir())
	if code != exitFault || !strings.Contains(stderr, "skein serve") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// buildSkein builds the server into a folder of the test.
func buildSkein(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the server")
	}
	path := filepath.Join(t.TempDir(), "skein")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, "../skein")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the server does not build: %v\n%s", err, out)
	}
	return path
}

// emptyTemp gives the program a folder for temporary files and, at the end,
// finds it empty.
func emptyTemp(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

func demoArgs(skein, out string, more ...string) []string {
	return append([]string{
		"demo", "--skein", skein, "--out", out, "--users", "500", "--follows", "10000",
		"--duration", "3s", "--lag-bound", "2s", "--rate", "500",
	}, more...)
}

// Every command says what it does and shows how it is called.
func TestEveryCommandHasAnExample(t *testing.T) {
	root := (&program{}).command()
	for _, c := range append(root.Commands(), root) {
		if c.Name() == "help" || c.Name() == "completion" {
			continue // cobra's own
		}
		if !strings.Contains(c.Example, c.CommandPath()) || c.Short == "" {
			t.Errorf("%s: its help has no example that calls it, or no short line", c.CommandPath())
		}
	}
}
