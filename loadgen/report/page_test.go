package report

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// sampleSeries has a gap in what was probed, and one in what was looked at.
func sampleSeries() *Series {
	steps := func(at ...float64) []LagStep {
		var list []LagStep
		for _, a := range at {
			list = append(list, LagStep{At: a, Quantiles: Quantiles{3, new(0.004), new(0.02), new(0.02), new(0.02)}})
		}
		return list
	}
	line := func(name string, values ...*float64) Line {
		l := Line{Name: name}
		for i, v := range values {
			l.Points = append(l.Points, Point{At: float64(i) + 0.5, Value: v})
		}
		return l
	}
	return &Series{
		Step: 1, Burst: &Burst{Begin: 2, End: 2.5, Over: 3},
		Lag:     []LagLine{{Who: "bystanders", Points: steps(0.5, 1.5, 3.5)}},
		Calls:   []Line{line("CreatePost", new(250.0), new(200.0), new(240.0), new(10.0))},
		Backlog: []Line{line("large", new(0.0), new(0.0), nil, new(0.0)), line("small", new(1.0), new(7.0), nil, new(2.0))},
	}
}

func sampleWithSeries() *Report {
	r := sample()
	r.Load = &Load{Rate: 500, ReadShare: 0.5, Duration: 4, LagBound: 5, Celebrities: 5, Burst: 25}
	r.Series = sampleSeries()
	return r
}

// htmlOf is the page of a report.
func htmlOf(t *testing.T, write func(path string) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), PageName)
	if err := write(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The page needs no script, no network and no other file.
func TestPageStandsByItself(t *testing.T) {
	both := Comparison{A: sampleWithSeries(), B: sample(), NameA: "a", NameB: "b"}
	for name, page := range map[string]string{
		"report": htmlOf(t, sampleWithSeries().WritePage), "empty": htmlOf(t, (&Report{}).WritePage), "compare": htmlOf(t, both.WritePage),
	} {
		if found := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|@import|url\(|(src|href)=|https?:`).FindAllString(page, -1); found != nil {
			t.Errorf("%s: %v", name, found)
		}
		if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "<no value>") {
			t.Errorf("%s: the template was filled wrongly", name)
		}
		for used := range strings.SplitSeq(page, "var(") {
			property, _, _ := strings.Cut(used, ")")
			if strings.HasPrefix(property, "--") && !strings.Contains(page, property+":") {
				t.Errorf("%s: %s is used and not set", name, property)
			}
		}
		for _, scheme := range []string{"prefers-color-scheme: dark", "@media print"} {
			if !strings.Contains(page, scheme) {
				t.Errorf("%s: nothing for %s", name, scheme)
			}
		}
	}
}

// Light and dark set the same colours.
func TestBothSchemesAreWhole(t *testing.T) {
	_, light, _ := strings.Cut(string(style), ":root {")
	light, rest, _ := strings.Cut(light, "}")
	_, dark, _ := strings.Cut(rest, ":root {")
	dark, _, _ = strings.Cut(dark, "}")
	property := regexp.MustCompile(`--[a-z0-9-]+:`)
	inLight, inDark := property.FindAllString(light, -1), property.FindAllString(dark, -1)
	if len(inLight) < 10 || !reflect.DeepEqual(inLight, inDark) {
		t.Errorf("light sets %v, dark %v", inLight, inDark)
	}
}

// What was not measured is said to be so, and is no empty chart.
func TestPageSaysWhatWasNotMeasured(t *testing.T) {
	const charts = 6
	empty := htmlOf(t, (&Report{}).WritePage)
	if n := strings.Count(empty, `<p class="missing">not measured`); n < charts || strings.Contains(empty, "<svg") {
		t.Errorf("%d times not measured, charts: %t", n, strings.Contains(empty, "<svg"))
	}
	if !strings.Contains(empty, "nothing was checked") {
		t.Error("it does not say that nothing was checked")
	}
	r := sampleWithSeries()
	if keys := r.lagFigure().Keys; keys[len(keys)-1].Name != "celebrities' followers: not measured" || keys[len(keys)-2].Name != "bystanders" {
		t.Errorf("the legend of the lag: %+v", keys)
	}
	if f := r.deliveriesFigure(); !strings.Contains(f.Missing, "metrics") {
		t.Errorf("deliveries: %q", f.Missing)
	}
	if f := r.backlogFigure(); f.Missing != "" || !strings.Contains(f.Note, "Empty at every look: large.") || len(f.chart.Lines) != 1 {
		t.Errorf("backlog: %+v", f)
	}
	for i := range r.Series.Backlog {
		for k := range r.Series.Backlog[i].Points {
			r.Series.Backlog[i].Points[k].Value = new(0.0)
		}
	}
	if f := r.backlogFigure(); f.Missing != "every lane was empty at every look" {
		t.Errorf("a backlog that was 0 is said to be %q", f.Missing)
	}
}

// Where nobody was probed, or a look failed, the line has a gap.
func TestChartsHaveGaps(t *testing.T) {
	r := sampleWithSeries()
	if p := r.lagFigure().chart.Lines[0].Points; len(p) != 4 || p[2].Y == p[2].Y || p[1].Top != 0.02 {
		t.Errorf("lag: %v", p)
	}
	if p := r.backlogFigure().chart.Lines[0].Points; len(p) != 4 || p[2].Y == p[2].Y {
		t.Errorf("backlog: %v", p)
	}
	if bands := r.lagFigure().chart.Bands; len(bands) != 2 || bands[1].From != 2 || bands[1].To != 2.5 || !bands[1].Deep || bands[0].To != 3 {
		t.Errorf("the burst is marked as %v", bands)
	}
}

// The looks at the servers go on while pages are checked. What is shown ends with the
// load, or with the backlog that it left.
func TestChartsEndWithTheLoad(t *testing.T) {
	for left, want := range map[float64]float64{0: 4, 3: 6.5} {
		r := sampleWithSeries()
		looks := r.Series.Backlog[1].Points
		looks = append(looks, Point{At: 6.5, Value: new(left)}, Point{At: 60, Value: new(0.0)})
		r.Series.Backlog[1].Points, r.Series.Deliveries = looks, looks
		for _, f := range []figure{r.backlogFigure(), r.deliveriesFigure(), r.callsFigure()} {
			if end := f.chart.X.Max; end != want {
				t.Errorf("%s: with %v left after the load the axis ends at %v, want %v", f.Title, left, end, want)
			}
			for _, l := range f.chart.Lines {
				if last := l.Points[len(l.Points)-1].X; last > want {
					t.Errorf("%s: with %v left after the load there is a point at %v", f.Title, left, last)
				}
			}
		}
	}
}

// A report may come from anywhere: what it names is text.
func TestPageEscapes(t *testing.T) {
	const hostile = `</style><script>alert("1")</script>`
	r := sampleWithSeries()
	r.Workload, r.Seed, r.Engines.Log = hostile, hostile, new(hostile)
	r.Series.Backlog[1].Name, r.Lag[0].Who, r.Checks[1].Examples = hostile, hostile, []string{hostile}
	for name, page := range map[string]string{
		"report":  htmlOf(t, r.WritePage),
		"compare": htmlOf(t, Comparison{A: r, B: r, NameA: hostile, NameB: hostile}.WritePage),
	} {
		if strings.Contains(page, "<script") || strings.Count(page, "</style>") != 1 {
			t.Errorf("%s: a name became a part of the page", name)
		}
		if !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("%s: the name is not there", name)
		}
	}
}

// Violations are seen at once.
func TestPageShowsViolations(t *testing.T) {
	page := htmlOf(t, sample().WritePage)
	for _, want := range []string{`<p class="verdict broken">Verdict: VIOLATED: T4`, `class="words broken">VIOLATED<`, "viewer 7 misses post 99"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	clean := sample()
	clean.Checks = clean.Checks[:1]
	if page := htmlOf(t, clean.WritePage); !strings.Contains(page, `<p class="verdict holds">`) || strings.Contains(page, violated) {
		t.Error("a clean run does not look so")
	}
}

// A run without a violation that was cut off, or whose calls failed, does not look
// clean: not in words, not in colour, and not beside another one.
func TestDoubts(t *testing.T) {
	clean := func() *Report {
		r := sample()
		r.Checks = r.Checks[:1]
		r.Figures = []Figure{
			{Name: "failed_calls", Value: new(0.0)}, {Name: "exhausted_calls", Value: new(0.0)}, {Name: "viewers_checked", Value: new(300.0)},
		}
		return r
	}
	if page := htmlOf(t, clean().WritePage); !strings.Contains(page, `<p class="verdict holds">Verdict: no violation in 1,000,000 tries.<`) {
		t.Error("a clean run does not look so")
	}
	for want, edit := range map[string]func(*Report){
		"the run was interrupted":                    func(r *Report) { r.Interrupted = true },
		"7,120 calls failed":                         func(r *Report) { r.Figures[0].Value = new(7120.0) },
		"40,000 calls were refused by a busy server": func(r *Report) { r.Figures[1].Value = new(40_000.0) },
		"no viewer was checked to the end":           func(r *Report) { r.Figures[2].Value = new(0.0) },
	} {
		r := clean()
		r.Notes = []string{"failed: something"}
		edit(r)
		page := htmlOf(t, r.WritePage)
		if strings.Contains(page, "verdict holds") || !strings.Contains(page, "no violation in 1,000,000 tries, but "+want+".<") || !strings.Contains(page, "Note: failed: something") {
			t.Errorf("%s: the page says %s", want, r.verdict())
		}
		var table strings.Builder
		if err := r.Table(&table); err != nil || !strings.Contains(table.String(), "  failed: something\n\nVerdict: no violation in 1,000,000 tries, but "+want) {
			t.Errorf("%s: the table ends %.200s (%v)", want, table.String(), err)
		}
		if w := (Comparison{A: clean(), B: r}).Warnings(); len(w) != 1 || w[0] != "Of B: "+want+"." {
			t.Errorf("%s: compared with a clean one, the warnings are %q", want, w)
		}
	}
}

func TestGlance(t *testing.T) {
	r := &Report{Workload: "spike", Lag: []Lag{
		{Who: "bystanders", Phase: "before", Quantiles: Quantiles{Count: 1200, P99: new(0.01)}},
		{Who: "bystanders", Phase: "during", Quantiles: Quantiles{Count: 10, P99: new(0.015)}},
		{Who: "celebrity_followers", Phase: "before", Quantiles: Quantiles{Count: 1200, P99: new(0.01)}},
		{Who: "celebrity_followers", Phase: "during", Quantiles: Quantiles{Count: 9, P99: new(0.015)}},
	}}
	for i, want := range [][]string{
		{"bystanders' lag", "10 ms (1,200)", "15 ms (10)", "– (0)", "1.5"},
		{"celebrities' followers' lag", "10 ms (1,200)", "15 ms (9)", "– (0)", "too few"}, // it would be noise
	} {
		if rows := r.glance().Rows; !reflect.DeepEqual(rows[i], want) {
			t.Errorf("%q, want %q", rows[i], want)
		}
	}
	r.Workload = "steady"
	if head := r.glance().Head; fmt.Sprint(head) != "[p99 of the whole load]" {
		t.Errorf("a run without a burst has %q", head)
	}
}
