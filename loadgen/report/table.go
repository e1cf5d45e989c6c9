package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
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
	fmt.Fprintf(&b, "Graph     %s\n", r.Graph)
	fmt.Fprintf(&b, "Engines   %s\n", r.Engines)
	r.figures().write(&b)
	r.lags(false).write(&b)
	r.latencies().write(&b)
	r.checks().write(&b)
	for _, line := range r.details() {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(&b, "\nNotes")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	fmt.Fprintf(&b, "\nVerdict: %s\n", r.verdict())
	_, err := w.Write(printable(b.Bytes()))
	return err
}

// printable is a text without what moves a terminal's cursor: a report may come from
// anywhere.
func printable(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// String is the graph in a line.
func (g Graph) String() string {
	return fmt.Sprintf("%s users, %s follows; the most followed has %s followers",
		integer(g.Users), integer(g.Follows), integer(g.MaxFollowers))
}

// String is the engines in a line.
func (e Engines) String() string {
	return fmt.Sprintf("posts: %s, graph: %s, log: %s, timelines: %s",
		known(e.Posts), known(e.Graph), known(e.Log), known(e.Timelines))
}

func (r *Report) figures() table {
	t := table{Title: "Throughput", left: 1, Head: []string{"figure", "value"}}
	for _, f := range r.Figures {
		t.Rows = append(t.Rows, []string{plain(f.Name), quantity(f.Value, f.Unit)})
	}
	return t
}

const decile = "decile_"

// lags are those of groups, or of the deciles of authors by followers: thirty
// rows for the study, which are not shown with the others.
func (r *Report) lags(deciles bool) table {
	t := table{
		Title: "Lag: from a post's acknowledgement until its followers can read it",
		left:  2, Head: []string{"who", "phase", "probes", "p50", "p99", "max", "gave up"},
	}
	for _, l := range r.Lag {
		if strings.HasPrefix(l.Who, decile) == deciles {
			t.Rows = append(t.Rows, append(append([]string{plain(l.Who), l.Phase}, l.cells()...), integer(l.GaveUp)))
		}
	}
	return t
}

func (r *Report) latencies() table {
	t := table{
		Title: "Latency: from when a call was due until its answer",
		left:  2, Head: []string{"call", "phase", "calls", "p50", "p99", "max"},
	}
	for _, l := range r.Latency {
		t.Rows = append(t.Rows, append([]string{l.Call, l.Phase}, l.cells()...))
	}
	return t
}

func (q Quantiles) cells() []string {
	return []string{integer(q.Count), duration(q.P50), duration(q.P99), duration(q.Max)}
}

const violated = "VIOLATED"

func (r *Report) checks() table {
	t := table{
		Title: "Checks: what was read, held against every act that was acknowledged",
		left:  2, Head: []string{"check", "verdict", "tried", "violations"},
	}
	for _, c := range r.Checks {
		verdict := "holds"
		switch {
		case c.Violations > 0:
			verdict = violated
		case c.Tried == 0:
			verdict = "not tried"
		}
		t.Rows = append(t.Rows, []string{c.words(), verdict, integer(c.Tried), integer(c.Violations)})
	}
	return t
}

func (c Check) words() string { return strings.TrimSpace(c.Name + " " + promises[c.Name]) }
