package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
)

// Comparison is two reports side by side. It judges neither: a change may be
// noise, or what was sought.
type Comparison struct {
	A, B         *Report
	NameA, NameB string // as the reader knows them, such as their paths
}

// Warnings say why the two cannot be compared number by number: other workloads,
// graphs or loads, or a run that did not go as it should. None: nothing is known that speaks against it.
func (c Comparison) Warnings() []string {
	var warnings []string
	differ := func(what, a, b string) {
		if a != b {
			warnings = append(warnings, fmt.Sprintf("The %s differ, so the numbers do not compare one to one. A: %s. B: %s.", what, a, b))
		}
	}
	differ("workloads", c.A.Workload, c.B.Workload)
	differ("graphs", c.A.Graph.String(), c.B.Graph.String())
	differ("loads", c.A.Load.orUnknown(), c.B.Load.orUnknown())
	for _, run := range []struct {
		name string
		*Report
	}{{"A", c.A}, {"B", c.B}} {
		if doubts := run.doubts(); len(doubts) > 0 {
			warnings = append(warnings, fmt.Sprintf("Of %s: %s.", run.name, strings.Join(doubts, ", ")))
		}
	}
	return warnings
}

func (l *Load) orUnknown() string {
	if l == nil {
		return unknown
	}
	return l.String()
}

// Table writes both, and the change from A to B in percent, in plain text.
func (c Comparison) Table(w io.Writer) error {
	var b bytes.Buffer // cannot fail; w may
	for _, f := range c.facts() {
		fmt.Fprintf(&b, "%s  %s\n", f.Name, f.Value)
	}
	for _, warning := range c.Warnings() {
		fmt.Fprintf(&b, "\nWARNING: %s\n", warning)
	}
	for _, t := range c.tables() {
		t.write(&b)
	}
	_, err := w.Write(printable(b.Bytes()))
	return err
}

func (c Comparison) facts() []fact {
	about := func(name string, r *Report) string {
		return fmt.Sprintf("%s: %s, seed %s; %s", name, r.Workload, r.Seed, r.Engines)
	}
	return []fact{{"A", about(c.NameA, c.A)}, {"B", about(c.NameB, c.B)}}
}

func (c Comparison) tables() []table {
	return []table{
		c.checks(),
		c.spans("Lag: from a post's acknowledgement until its followers can read it", "who", c.A.lagRows(), c.B.lagRows()),
		c.spans("Latency: from when a call was due until its answer", "call", c.A.latencyRows(), c.B.latencyRows()),
		c.figures(),
	}
}

func (c Comparison) figures() table {
	t := table{Title: "Throughput", left: 1, Head: []string{"figure", "A", "B", "change"}}
	a, b := map[string]Figure{}, map[string]Figure{}
	names := inEither(c.A.Figures, c.B.Figures, func(f Figure) string { return f.Name }, a, b)
	for _, name := range names {
		unit := cmp.Or(a[name].Unit, b[name].Unit)
		t.Rows = append(t.Rows, []string{
			plain(name), quantity(a[name].Value, unit), quantity(b[name].Value, unit), change(a[name].Value, b[name].Value),
		})
	}
	return t
}

// spanned is a group or call in a phase, and its durations.
type spanned struct {
	name, phase string
	Quantiles
}

func (r *Report) lagRows() []spanned {
	var rows []spanned
	for _, l := range r.Lag {
		if !strings.HasPrefix(l.Who, decile) {
			rows = append(rows, spanned{plain(l.Who), l.Phase, l.Quantiles})
		}
	}
	return rows
}

func (r *Report) latencyRows() []spanned {
	var rows []spanned
	for _, l := range r.Latency {
		rows = append(rows, spanned{l.Call, l.Phase, l.Quantiles})
	}
	return rows
}

// spans has a row for the count and each percentile of each group or call in each phase.
func (c Comparison) spans(title, what string, rowsA, rowsB []spanned) table {
	t := table{Title: title, left: 3, Head: []string{what, "phase", "of", "A", "B", "change"}}
	a, b := map[[2]string]spanned{}, map[[2]string]spanned{}
	for _, key := range inEither(rowsA, rowsB, func(s spanned) [2]string { return [2]string{s.name, s.phase} }, a, b) {
		qa, qb := a[key].Quantiles, b[key].Quantiles
		t.Rows = append(t.Rows, []string{key[0], key[1], "count", integer(qa.Count), integer(qb.Count), countChange(qa.Count, qb.Count)})
		for _, q := range []struct {
			name string
			a, b *float64
		}{{"p50", qa.P50, qb.P50}, {"p99", qa.P99, qb.P99}, {"max", qa.Max, qb.Max}} {
			t.Rows = append(t.Rows, []string{key[0], key[1], q.name, duration(q.a), duration(q.b), change(q.a, q.b)})
		}
	}
	return t
}

func (c Comparison) checks() table {
	t := table{Title: "Checks", left: 1, Head: []string{"check", "tried A", "tried B", "broken A", "broken B"}}
	a, b := map[string]Check{}, map[string]Check{}
	for _, name := range inEither(c.A.Checks, c.B.Checks, func(c Check) string { return c.Name }, a, b) {
		cells := []string{Check{Name: name}.words(), integer(a[name].Tried), integer(b[name].Tried)}
		for _, check := range []Check{a[name], b[name]} {
			verdict := integer(check.Violations)
			if check.Tried == 0 && check.Violations == 0 {
				verdict = "not tried"
			}
			cells = append(cells, verdict)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// inEither puts the rows into a and b by key and lists all keys, as A orders
// them, then those that only B has. Of rows with one key the last counts.
func inEither[K comparable, V any](rowsA, rowsB []V, key func(V) K, a, b map[K]V) []K {
	var keys []K
	seen := map[K]bool{}
	add := func(rows []V, to map[K]V) {
		for _, row := range rows {
			k := key(row)
			to[k] = row
			if !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
	}
	add(rowsA, a)
	add(rowsB, b)
	return keys
}

func countChange(a, b int64) string { return change(new(float64(a)), new(float64(b))) }

// change from a to b in percent; a dash where that means nothing.
func change(a, b *float64) string {
	switch {
	case a == nil || b == nil:
		return "–"
	case *a == *b:
		return "0 %"
	case *a == 0:
		return "–"
	}
	percent := 100 * (*b - *a) / math.Abs(*a)
	if math.Abs(percent) < 10 {
		return fmt.Sprintf("%+.1f %%", percent)
	}
	if math.Abs(percent) > 1e15 {
		return "–"
	}
	sign := ""
	if percent > 0 {
		sign = "+"
	}
	return sign + integer(int64(math.Round(percent))) + " %"
}
