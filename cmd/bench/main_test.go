package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skein/cmd/bench/report"
	"skein/cmd/bench/rows"
)

// row is one that knows its figure before.
type row struct {
	name string
	err  error
	ran  *[]string
}

func (r row) Names() []string { return []string{r.name} }

func (r row) Measure(ctx context.Context, b *rows.Bench) ([]report.Row, error) {
	*r.ran = append(*r.ran, r.name)
	if r.err != nil {
		return nil, r.err
	}
	return []report.Row{{Name: r.name, Value: 2, Unit: "s", Better: report.Lower, Target: new(1.0), Setup: "none"}}, ctx.Err()
}

// The exit code says whose fault it was, and the file has the rows asked for that
// could be measured. A target that was missed is no failure.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		ran  string
		rows string // in the file
		said string // on stdout or stderr
	}{
		{nil, exitError, "one two broken", "one two", "no disk"},
		{[]string{"--row", "two"}, exitDone, "two", "two", "missed by 100 %"},
		{[]string{"--row=two,one"}, exitDone, "one two", "one two", "one"},
		{[]string{"--row", "three"}, exitUsage, "", "", `no row "three"; choose from [one two broken]`},
		{[]string{"--rounds", "0"}, exitUsage, "", "", "--rounds"},
		{[]string{"--costs", "costs.json", "--row", "one"}, exitUsage, "", "", "reads_spread"},
		{[]string{"--nonsense"}, exitUsage, "", "", "--nonsense"},
		{[]string{"extra"}, exitUsage, "", "", "extra"},
	} {
		var ran []string
		var stdout, stderr bytes.Buffer
		p := &program{
			all:    []rows.Row{row{"one", nil, &ran}, row{"two", nil, &ran}, row{"broken", errors.New("no disk"), &ran}},
			stdout: &stdout, stderr: &stderr,
		}
		path := filepath.Join(t.TempDir(), "out", "bench.json")
		code := p.run(t.Context(), append(c.args, "--out", path))
		if code != c.code || strings.Join(ran, " ") != c.ran || !strings.Contains(stdout.String()+stderr.String(), c.said) {
			t.Errorf("bench %v: exit %d, measured %v, said %q and %q; want %+v", c.args, code, ran, stdout.String(), stderr.String(), c)
		}
		if got := rowsIn(t, path); got != c.rows {
			t.Errorf("bench %v: the file has the rows %q, want %q", c.args, got, c.rows)
		}
	}
}

func TestInterrupted(t *testing.T) {
	var ran []string
	var stderr bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &program{all: []rows.Row{row{"one", nil, &ran}}, stdout: &stderr, stderr: &stderr}
	path := filepath.Join(t.TempDir(), "bench.json")
	if code := p.run(ctx, []string{"--out", path}); code != exitError || rowsIn(t, path) != "" {
		t.Errorf("interrupted: exit %d, %s", code, stderr.String())
	}
}

// rowsIn returns the names of the rows in a file; "" when there is none.
func rowsIn(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	var r report.Report
	if err = errors.Join(err, json.Unmarshal(content, &r)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, row := range r.Rows {
		names = append(names, row.Name)
	}
	return strings.Join(names, " ")
}
