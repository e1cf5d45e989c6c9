package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"slices"
)

//go:embed page
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "page/*.html"))

// style is the style sheet of all pages.
var style = func() template.CSS {
	data, err := pageFiles.ReadFile("page/style.css")
	if err != nil {
		panic(err) // the program was built without it
	}
	return template.CSS(data)
}()

// WritePage replaces the file at path by the report as a page for browsers and
// paper, as Write does. The page needs no other file, no network and no script.
func (r *Report) WritePage(path string) error { return writePage(path, "report", r.page()) }

func writePage(path, name string, data any) error {
	var b bytes.Buffer
	err := pages.ExecuteTemplate(&b, name, data)
	if err == nil {
		err = replace(path, b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("cannot write the page to %s: %w", path, err)
	}
	return nil
}

// page is what the template report.html shows.
type page struct {
	Style               template.CSS
	Title, Verdict      string
	Broken, Proved      bool
	Facts               []fact
	Glance              table
	Lag, Backlog        figure
	Latency, Throughput []figure
	Checks              table
	Details, Notes      []string
	Tables              []table
	Deciles             table
}

// fact is a thing that does not change during a run.
type fact struct{ Name, Value string }

func (r *Report) page() page {
	all := r.allFigures()
	return page{
		Style:      style,
		Title:      fmt.Sprintf("Skein under load: %s, %s users", r.Workload, integer(r.Graph.Users)),
		Verdict:    "Verdict: " + r.verdict(),
		Broken:     r.Violations() > 0,
		Proved:     len(r.doubts()) == 0 && slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Tried > 0 }),
		Facts:      r.facts(),
		Glance:     r.glance(),
		Lag:        all[0],
		Latency:    all[1:3],
		Throughput: all[3:5],
		Backlog:    all[5],
		Checks:     r.checks(),
		Details:    r.details(),
		Notes:      r.Notes,
		Tables:     []table{r.lags(false), r.latencies(), r.figures()},
		Deciles:    r.lags(true),
	}
}

func (r *Report) facts() []fact {
	facts := []fact{{"Workload", fmt.Sprintf("%s, seed %s", r.Workload, r.Seed)}}
	if l := r.Load; l != nil {
		facts = append(facts, fact{"Load", l.String()})
	}
	return append(facts, fact{"Graph", r.Graph.String()}, fact{"Engines", r.Engines.String()})
}

// String is the load in a line.
func (l Load) String() string {
	s := fmt.Sprintf("%s calls a second for %s, %.3g %% of them reads; lag bound %s",
		thousands(l.Rate), duration(&l.Duration), 100*l.ReadShare, duration(&l.LagBound))
	if l.Burst > 0 {
		s += fmt.Sprintf("; %s posts of %s celebrities in a burst", integer(l.Burst), integer(l.Celebrities))
	}
	return s
}

// glance is the p99 of what matters most, phase beside phase.
func (r *Report) glance() table {
	t := table{Title: "At a glance", left: 1, Head: []string{"p99 of"}}
	phases := phases
	if r.Workload != "spike" {
		phases = phases[:1]
	}
	for _, phase := range phases {
		t.Head = append(t.Head, r.phase(phase))
	}
	if len(phases) > 1 {
		t.Head = append(t.Head, "during ÷ before")
	}
	row := func(name string, of func(phase string) Quantiles) {
		cells := []string{name}
		for _, phase := range phases {
			q := of(phase)
			cells = append(cells, fmt.Sprintf("%s (%s)", duration(q.P99), integer(q.Count)))
		}
		if len(phases) > 1 {
			cells = append(cells, ratio(of("before"), of("during")))
		}
		t.Rows = append(t.Rows, cells)
	}
	row("bystanders' lag", func(phase string) Quantiles { return r.lag("bystanders", phase) })
	row("celebrities' followers' lag", func(phase string) Quantiles { return r.lag("celebrity_followers", phase) })
	row("latency of reads", func(phase string) Quantiles { return r.latency("GetHomeTimeline", phase) })
	row("latency of writes", func(phase string) Quantiles { return r.latency("CreatePost", phase) })
	return t
}

// fewest is below how many durations a ratio would compare noise.
const fewest = 10

// ratio of b's p99 to a's, if both are known and a's is not 0.
func ratio(a, b Quantiles) string {
	switch {
	case a.P99 == nil || b.P99 == nil || *a.P99 == 0:
		return "–"
	case a.Count < fewest || b.Count < fewest:
		return "too few"
	}
	return fmt.Sprintf("%.3g", *b.P99 / *a.P99)
}

// lag and latency are those of a group or call in a phase; without any, nothing
// is known.
func (r *Report) lag(who, phase string) Quantiles {
	for _, l := range r.Lag {
		if l.Who == who && l.Phase == phase {
			return l.Quantiles
		}
	}
	return Quantiles{}
}

func (r *Report) latency(call, phase string) Quantiles {
	for _, l := range r.Latency {
		if l.Call == call && l.Phase == phase {
			return l.Quantiles
		}
	}
	return Quantiles{}
}
