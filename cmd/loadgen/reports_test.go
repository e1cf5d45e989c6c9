package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skein/loadgen/report"
)

// written is a report with so many posts, and its folder.
func written(t *testing.T, posts float64) string {
	t.Helper()
	dir := t.TempDir()
	r := &report.Report{Workload: "steady", Seed: "1", Figures: []report.Figure{{Name: "posts", Value: &posts}}}
	if err := r.Write(filepath.Join(dir, report.FileName)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// compare prints, and writes nothing unless it is told where.
func TestCompare(t *testing.T) {
	a, b := written(t, 200), written(t, 300)
	code, stdout, stderr := loadgenRun(t.Context(), "compare", a, filepath.Join(b, report.FileName))
	if code != exitClean || !strings.Contains(stdout, "+50 %") || strings.Contains(stdout, "WARNING") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, dir := range []string{a, b} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("it wrote: %v, %v", left, err)
		}
	}
	page := filepath.Join(a, "both.html")
	code, stdout, stderr = loadgenRun(t.Context(), "compare", a, b, "--out", page)
	data, err := os.ReadFile(page)
	if code != exitClean || err != nil || !strings.Contains(stdout, page) || !strings.Contains(string(data), "50\u00a0%") {
		t.Errorf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
}

// report prints the table again, and makes the page again.
func TestReportAgain(t *testing.T) {
	dir := written(t, 200)
	page := filepath.Join(dir, report.PageName)
	code, stdout, stderr := loadgenRun(t.Context(), "report", dir, "--out", page)
	if _, err := os.Stat(page); code != exitClean || err != nil || !strings.Contains(stdout, "posts") {
		t.Errorf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
}

// graph writes a file that it reads as the same graph.
func TestGraph(t *testing.T) {
	path := filepath.Join(t.TempDir(), "graph.gz")
	code, drawn, stderr := loadgenRun(t.Context(), "graph", "--users", "500", "--follows", "10000", "--out", path)
	if code != exitClean || !strings.Contains(drawn, "500 users") || !strings.Contains(drawn, "exponent") {
		t.Fatalf("exit %d\n%s%s", code, drawn, stderr)
	}
	code, read, stderr := loadgenRun(t.Context(), "graph", "--graph", path)
	if code != exitClean || read != drawn {
		t.Errorf("exit %d\n%sdrawn was:\n%s%s", code, read, drawn, stderr)
	}
}

func TestWrongUsageOfReports(t *testing.T) {
	dir, have := t.TempDir(), written(t, 1)
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "2 arg", []string{"compare", have}},
		{exitUsage, report.FileName, []string{"compare", have, dir}},
		{exitUsage, "absent", []string{"report", filepath.Join(dir, "absent")}},
		{exitFault, "page.html", []string{"report", have, "--out", filepath.Join(dir, "none", "page.html")}},
		{exitUsage, "--users must be", []string{"graph", "--users", "1"}},
		{exitFault, "graph.gz", []string{"graph", "--users", "500", "--follows", "10000", "--out", filepath.Join(dir, "none", "graph.gz")}},
	} {
		code, _, stderr := loadgenRun(t.Context(), c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: exit %d, want %d and %q in: %s", c.args, code, c.code, c.says, stderr)
		}
	}
}
