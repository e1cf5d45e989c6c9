package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skein/loadgen/report"
)

// readReport reads report.json, and the sources of its check T1.
func readReport(t *testing.T, dir string) (rep report.Report, pairs, pushed int64) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &rep); err != nil {
		t.Fatal(err)
	}
	for _, c := range rep.Checks {
		if c.Name == "T1" {
			return rep, c.Tried, c.BySource["pushed"]
		}
	}
	t.Fatalf("no check T1 in %s", data)
	return rep, 0, 0
}

// The show with the real server, which is built once.
func TestDemo(t *testing.T) {
	skein := buildSkein(t)
	t.Run("finished", func(t *testing.T) { testDemoFinished(t, skein) })
	t.Run("interrupted", func(t *testing.T) { testDemoInterrupted(t, skein) })
}

// The whole show, small: the server is proved right, mostly on pushed entries,
// and nothing is left of it. It has nothing to do with engines that the environment
// names, where real data may be.
func testDemoFinished(t *testing.T, skein string) {
	emptyTemp(t)
	t.Setenv("SKEIN_POSTS", "postgres://127.0.0.1:1/real")
	t.Setenv("SKEIN_ALLOW_WEAK", "nonsense")
	out := t.TempDir()
	code, stdout, stderr := loadgenRun(t.Context(), demoArgs(skein, out)...)
	if code != exitClean {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	rep, pairs, pushed := readReport(t, out)
	if pairs < 10_000 || 2*pushed < pairs {
		t.Errorf("%d pairs, %d of them pushed", pairs, pushed)
	}
	if rep.Engines.Timelines == nil || *rep.Engines.Timelines != "memory" {
		t.Errorf("engines %+v", rep.Engines)
	}
	for _, f := range rep.Figures {
		if f.Value == nil {
			t.Errorf("%s is unknown", f.Name)
		}
	}
	if !strings.Contains(stdout, filepath.Join(out, "report.json")) {
		t.Errorf("the table does not say where the report is:\n%s", stdout)
	}
}

// Ctrl-C during the load: the report is written, the server stopped, the folder
// removed.
func testDemoInterrupted(t *testing.T, skein string) {
	emptyTemp(t)
	out := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stderr := &output{want: "warm     done", seen: interrupt}
	code := (&program{stdout: &output{}, stderr: stderr}).run(ctx, demoArgs(skein, out, "--duration", "1h"))
	if code != exitFault || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	if rep, _, _ := readReport(t, out); rep.Violations() != 0 {
		t.Errorf("checks %+v", rep.Checks)
	}
}

// A server that dies is told of with its last words.
func TestDemoServerDies(t *testing.T) {
	emptyTemp(t)
	t.Setenv(dieEnv, "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := loadgenRun(t.Context(), demoArgs(self, t.TempDir())...)
	if code != exitFault || !strings.Contains(stderr, "exit status 3") || !strings.Contains(stderr, "the disk is on fire") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
