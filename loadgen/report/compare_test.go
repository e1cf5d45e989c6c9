package report

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What was written is read as it was, also by its folder; the series' names are
// a promise to programs.
func TestReadWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := sampleWithSeries().Write(path); err != nil {
		t.Fatal(err)
	}
	want := sampleWithSeries().filled()
	for _, from := range []string{path, dir} {
		if r, err := Read(from); err != nil || !reflect.DeepEqual(*r, want) {
			t.Errorf("%s: %v; read %+v, want %+v", from, err, r, want)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "series.json", data)
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ content, says string }{
		"words.json":  {"no report", "is not a report"},
		"other.json":  {`{"schema": "skein.bench/v1"}`, `"skein.bench/v1"`},
		"older.json":  {`{}`, "schema"},
		"empty.json":  {`{"schema": "skein.report/v1"}`, "nothing is in it"},
		"number.json": {`{"schema": "skein.report/v1", "series": 7}`, "series"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want the file's name and %s", name, err, c.says)
		}
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), FileName) {
		t.Errorf("a folder without a report: %v", err)
	}
}

func TestCompareGolden(t *testing.T) {
	a, b := sampleWithSeries(), sampleWithSeries()
	b.Figures[0].Value, b.Figures[3].Value = new(624.5), new(0.0)
	b.Latency[0].P99, b.Latency[0].Count = new(0.0126), 10_000
	b.Lag = append(b.Lag, Lag{Who: "bystanders", Phase: "before", Quantiles: Quantiles{5, new(0.001), new(0.002), new(0.002), new(0.002)}},
		Lag{Who: "decile_7", Phase: "before"})
	b.Checks = b.Checks[:2]
	b.Load.Rate, b.Graph.Users, b.Workload = 700, 60_000, "steady"
	var text bytes.Buffer
	if err := (Comparison{A: a, B: b, NameA: "out/a", NameB: "out/b"}).Table(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", text.Bytes())
}

// Reports of the same kind of run are compared without a warning, others with
// one for each thing that differs.
func TestCompareWarns(t *testing.T) {
	for name, c := range map[string]struct {
		edit     func(*Report)
		warnings int
	}{
		"the same":        {func(*Report) {}, 0},
		"other engines":   {func(r *Report) { r.Engines.Log = new("kafka") }, 0},
		"other figures":   {func(r *Report) { r.Figures = nil }, 0},
		"workload":        {func(r *Report) { r.Workload = "steady" }, 1},
		"graph":           {func(r *Report) { r.Graph.MaxFollowers++ }, 1},
		"rate":            {func(r *Report) { r.Load.Rate = 600 }, 1},
		"before its time": {func(r *Report) { r.Load = nil }, 1},
		"all":             {func(r *Report) { *r = Report{} }, 3},
	} {
		b := sampleWithSeries()
		c.edit(b)
		both := Comparison{A: sampleWithSeries(), B: b}
		if w := both.Warnings(); len(w) != c.warnings {
			t.Errorf("%s: %q, want %d warnings", name, w, c.warnings)
		}
		if page := htmlOf(t, both.WritePage); strings.Count(page, `class="warning"`) != c.warnings {
			t.Errorf("%s: the page does not show %d warnings", name, c.warnings)
		}
	}
}

func TestChange(t *testing.T) {
	for _, c := range []struct {
		a, b *float64
		want string
	}{
		{new(2.0), new(3.0), "+50 %"},
		{new(100.0), new(99.0), "-1.0 %"},
		{new(100.0), new(50.0), "-50 %"},
		{new(1.0), new(1000.0), "+99,900 %"},
		{new(0.0), new(0.0), "0 %"},
		{new(0.0), new(1.0), "–"},
		{new(5e-324), new(math.MaxFloat64), "–"},
		{nil, new(1.0), "–"},
		{new(1.0), nil, "–"},
	} {
		if got := change(c.a, c.b); got != c.want {
			t.Errorf("%v to %v is %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// Charts of A and B have one scale, and one look for one thing.
func TestComparedChartsShareTheirScale(t *testing.T) {
	a, b := sampleWithSeries(), sampleWithSeries()
	b.Series.Calls[0].Points[0].Value = new(9000.0)
	b.Series.Backlog[0].Points[0].Value = new(3.0) // large is not idle there
	for _, pair := range (Comparison{A: a, B: b}).page().Pairs {
		if pair[0].Missing == "" && (pair[0].chart.Y.Max != pair[1].chart.Y.Max || pair[0].chart.X.Max != pair[1].chart.X.Max) {
			t.Errorf("%s ends at %v and %v", pair[0].Title, pair[0].chart.Y.Max, pair[1].chart.Y.Max)
		}
	}
	small, both := a.backlogFigure().chart.Lines, b.backlogFigure().chart.Lines
	if len(small) != 1 || len(both) != 2 || small[0].Look != both[0].Look || both[0].Look == both[1].Look {
		t.Errorf("lane small looks otherwise beside large: %+v, %+v", small, both)
	}
}
