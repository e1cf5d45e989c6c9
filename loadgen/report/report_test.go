package report

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// sample has everything that a report can have: known and unknown, held and
// violated, empty and full.
func sample() *Report {
	return &Report{
		Workload: "spike",
		Seed:     "18446744073709551615",
		Engines:  Engines{Posts: new("embedded"), Graph: new("embedded"), Timelines: new("memory")},
		Graph:    Graph{Users: 50_000, Follows: 2_000_123, MaxFollowers: 10_031},
		Figures: []Figure{
			{Name: "posts_per_second", Value: new(499.6), Unit: "1/s"},
			{Name: "deliveries", Value: new(1234567.0)},
			{Name: "live_timelines"},
			{Name: "loading", Value: new(2.5), Unit: "s"},
		},
		Latency: []Latency{
			{Call: "GetHomeTimeline", Phase: "before", Quantiles: Quantiles{12_345, new(0.00085), new(0.0123), new(0.5), new(1.23)}},
			{Call: "CreatePost", Phase: "after"},
		},
		Lag: []Lag{
			{Who: "celebrity_followers", Phase: "during", Quantiles: Quantiles{1, new(0.00005), new(0.9999), new(59.99), new(75.2)}},
		},
		Checks: []Check{
			{Name: "T1", Tried: 1_000_000, BySource: map[string]int64{"pushed": 900_000, "pulled": 60_000, "above_the_top": 40_000}},
			{Name: "T4", Tried: 10, Violations: 2, Examples: []string{"viewer 7 misses post 99; --seed 5"}},
			{Name: "T6"},
		},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -rewrite writes it anew); got:\n%s", path, got)
	}
}

func TestWriteGolden(t *testing.T) {
	for name, r := range map[string]*Report{"full.json": sample(), "empty.json": {}} {
		path := filepath.Join(t.TempDir(), "report.json")
		for range 2 { // the second replaces the first
			if err := r.Write(path); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, data)
	}
}

// A report that cannot be written leaves the one before, and no temporary file.
func TestWriteFails(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "report.json")
	if err := sample().Write(path); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	bad := sample()
	bad.Figures[0].Value = new(math.NaN())
	if err := bad.Write(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("NaN was written, or the error does not name the file: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the old report is gone")
	}
	if err := sample().Write(filepath.Join(folder, "none", "report.json")); err == nil {
		t.Error("a folder that does not exist was written to")
	}
	if err := os.Mkdir(filepath.Join(folder, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := sample().Write(filepath.Join(folder, "taken")); err == nil {
		t.Error("a folder was replaced by a report")
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
}

func TestTableGolden(t *testing.T) {
	clean := sample()
	clean.Checks = clean.Checks[:1]
	for name, r := range map[string]*Report{"full.txt": sample(), "clean.txt": clean, "empty.txt": {}} {
		var b bytes.Buffer
		if err := r.Table(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

// A report may come from anywhere: its words do not move a terminal's cursor.
func TestTableIsPrintable(t *testing.T) {
	r := sample()
	r.Workload, r.Checks[1].Examples = "\x1b[31mred", []string{"a\rb\u009bc"}
	var table, both strings.Builder
	if err := errors.Join(r.Table(&table), Comparison{A: r, B: r, NameA: "\x1b]0;x\a"}.Table(&both)); err != nil {
		t.Fatal(err)
	}
	if said := table.String() + both.String(); strings.ContainsAny(said, "\x1b\r\a\u009b") || !strings.Contains(said, "red") {
		t.Errorf("%q", said)
	}
}

func TestWords(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0 µs", 0.0000012: "1.2 µs", 0.0009994: "999 µs", 0.0009996: "1 ms", 0.01234: "12.3 ms",
		0.9994: "999 ms", 0.9996: "1 s", 59.94: "59.9 s", 59.96: "1m0s", 3600: "1h0m0s",
	} {
		if got := duration(&seconds); got != want {
			t.Errorf("%g s is shown as %s, want %s", seconds, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", -999: "-999", -1234567: "-1,234,567",
		math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := integer(n); got != want {
			t.Errorf("%d is shown as %s, want %s", n, got, want)
		}
	}
	for value, want := range map[float64]string{0: "0 B", 0.126: "0.13 B", 99.5: "99.5 B", 1234.5: "1,235 B", math.Inf(1): "+Inf B"} {
		if got := quantity(&value, "B"); got != want {
			t.Errorf("%g is shown as %s, want %s", value, got, want)
		}
	}
}

// Against a sorted list: within the three digits that are promised.
func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	h := NewHistogram()
	list := make([]time.Duration, 20_000)
	for i := range list { // from microseconds to half an hour, evenly by magnitude
		list[i] = time.Duration(math.Exp(random.Float64()*21)) * time.Microsecond
	}
	var recorders sync.WaitGroup
	for part := range slices.Chunk(list, 2500) {
		recorders.Go(func() {
			for _, d := range part {
				h.Record(d)
			}
		})
	}
	recorders.Wait()
	slices.Sort(list)
	q := h.Quantiles()
	if q.Count != int64(len(list)) {
		t.Errorf("count %d, want %d", q.Count, len(list))
	}
	for what, c := range map[string]struct {
		got  *float64
		want time.Duration
	}{
		"p50":  {q.P50, list[len(list)/2-1]},
		"p99":  {q.P99, list[len(list)*99/100-1]},
		"p999": {q.P999, list[len(list)*999/1000-1]},
		"max":  {q.Max, list[len(list)-1]},
	} {
		if want := c.want.Seconds(); math.Abs(*c.got-want) > want/1000 {
			t.Errorf("%s is %g s, want %g s", what, *c.got, want)
		}
	}
}

func TestHistogramBounds(t *testing.T) {
	h := NewHistogram()
	if q := h.Quantiles(); q != (Quantiles{}) {
		t.Errorf("an empty histogram has quantiles: %+v", q)
	}
	h.Record(-time.Second)
	if q := h.Quantiles(); q.Count != 1 || *q.Max != 1e-6 {
		t.Errorf("a negative duration counts as %g s, want 1e-6", *q.Max)
	}
	h.Record(100 * time.Hour)
	if q := h.Quantiles(); q.Count != 2 || math.Abs(*q.Max-3600) > 4 {
		t.Errorf("a hundred hours count as %g s, want 3600", *q.Max)
	}
}

func BenchmarkHistogramRecord(b *testing.B) {
	h := NewHistogram()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Record(1234 * time.Microsecond)
		}
	})
}
