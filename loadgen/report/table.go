package report

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// promises are the contract of a home timeline in three words each, for those
// who do not know it by its numbers.
var promises = map[string]string{
	"T1": "no gap",
	"T2": "no duplicate",
	"T3": "newest first",
	"T4": "own acts show at once",
	"T5": "pages are full",
	"T6": "the cap is not the end",
	"T7": "a lost cache is only slow",
	"T8": "the absent cost nothing",
	"T9": "a repost shows once",
}

// Table writes the report for people who see such a run for the first time, in
// plain text.
func (r *Report) Table(w io.Writer) error {
	var b bytes.Buffer // cannot fail; w may
	fmt.Fprintf(&b, "Workload  %s, seed %s\n", r.Workload, r.Seed)
	fmt.Fprintf(&b, "Graph     %s users, %s follows; the most followed has %s followers\n",
		integer(r.Graph.Users), integer(r.Graph.Follows), integer(r.Graph.MaxFollowers))
	fmt.Fprintf(&b, "Engines   posts: %s, graph: %s, log: %s, timelines: %s\n",
		known(r.Engines.Posts), known(r.Engines.Graph), known(r.Engines.Log), known(r.Engines.Timelines))
	r.figures(&b)
	r.lags(&b)
	r.latencies(&b)
	r.checks(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) figures(b *bytes.Buffer) {
	rows := [][]string{{"figure", "value"}}
	for _, f := range r.Figures {
		rows = append(rows, []string{plain(f.Name), quantity(f.Value, f.Unit)})
	}
	section(b, "Throughput", 1, rows)
}

func (r *Report) lags(b *bytes.Buffer) {
	rows := [][]string{{"who", "phase", "probes", "p50", "p99", "max"}}
	for _, l := range r.Lag {
		if strings.HasPrefix(l.Who, "decile_") {
			continue // thirty rows for the study; report.json has them
		}
		rows = append(rows, append([]string{plain(l.Who), l.Phase}, l.cells()...))
	}
	section(b, "Lag: from a post's acknowledgement until its followers can read it", 2, rows)
}

func (r *Report) latencies(b *bytes.Buffer) {
	rows := [][]string{{"call", "phase", "calls", "p50", "p99", "max"}}
	for _, l := range r.Latency {
		rows = append(rows, append([]string{l.Call, l.Phase}, l.cells()...))
	}
	section(b, "Latency: from when a call was due until its answer", 2, rows)
}

func (q Quantiles) cells() []string {
	return []string{integer(q.Count), duration(q.P50), duration(q.P99), duration(q.Max)}
}

func (r *Report) checks(b *bytes.Buffer) {
	rows := [][]string{{"check", "verdict", "tried", "violations"}}
	var tried int64
	var broken, untried []string
	for _, c := range r.Checks {
		verdict := "holds"
		switch {
		case c.Violations > 0:
			verdict = "VIOLATED"
			broken = append(broken, c.Name)
		case c.Tried == 0:
			verdict = "not tried"
			untried = append(untried, c.Name)
		}
		tried += c.Tried
		rows = append(rows, []string{strings.TrimSpace(c.Name + " " + promises[c.Name]), verdict, integer(c.Tried), integer(c.Violations)})
	}
	section(b, "Checks: what was read, held against every act that was acknowledged", 2, rows)
	for _, c := range r.Checks {
		c.details(b)
	}
	b.WriteString("\nVerdict: ")
	switch {
	case len(broken) > 0:
		fmt.Fprintf(b, "VIOLATED: %s (%s violations in %s tries).", strings.Join(broken, ", "), integer(r.Violations()), integer(tried))
	case tried == 0:
		b.WriteString("nothing was checked.")
	default:
		fmt.Fprintf(b, "no violation in %s tries.", integer(tried))
	}
	if len(untried) > 0 && tried > 0 {
		fmt.Fprintf(b, " Not tried: %s.", strings.Join(untried, ", "))
	}
	b.WriteByte('\n')
}

// details are a check's sources, largest first, and its examples.
func (c Check) details(b *bytes.Buffer) {
	var sum int64
	for _, n := range c.BySource {
		sum += n
	}
	sources := slices.SortedFunc(maps.Keys(c.BySource), func(x, y string) int {
		if c.BySource[x] != c.BySource[y] {
			return int(min(max(c.BySource[y]-c.BySource[x], -1), 1))
		}
		return strings.Compare(x, y)
	})
	for i, source := range sources {
		sources[i] = fmt.Sprintf("%s %s (%.1f %%)", plain(source), integer(c.BySource[source]), 100*float64(c.BySource[source])/max(float64(sum), 1))
	}
	if len(sources) > 0 {
		fmt.Fprintf(b, "  %s by source: %s\n", c.Name, strings.Join(sources, ", "))
	}
	for _, example := range c.Examples {
		fmt.Fprintf(b, "  %s: %s\n", c.Name, example)
	}
}

// section writes rows under a title, the first row being their heads; none but
// the heads is no section. The first left columns are words, the rest numbers.
func section(b *bytes.Buffer, title string, left int, rows [][]string) {
	if len(rows) == 1 {
		return
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, row := range rows {
		for i, cell := range row {
			width := widths[i]
			if i < left {
				width = -width
			}
			fmt.Fprintf(b, "  %*s", width, cell)
		}
		b.WriteByte('\n')
	}
}
