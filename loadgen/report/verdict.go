package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// verdict is what the checks come to.
func (r *Report) verdict() string {
	var tried int64
	var broken, untried []string
	for _, c := range r.Checks {
		tried += c.Tried
		switch {
		case c.Violations > 0:
			broken = append(broken, c.Name)
		case c.Tried == 0:
			untried = append(untried, c.Name)
		}
	}
	verdict := ""
	switch {
	case len(broken) > 0:
		verdict = fmt.Sprintf("%s: %s (%s violations in %s tries)",
			violated, strings.Join(broken, ", "), integer(r.Violations()), integer(tried))
	case tried == 0:
		verdict = "nothing was checked"
	default:
		verdict = fmt.Sprintf("no violation in %s tries", integer(tried))
	}
	if doubts := r.doubts(); len(doubts) > 0 {
		verdict += ", but " + strings.Join(doubts, ", ")
	}
	verdict += "."
	if len(untried) > 0 && tried > 0 {
		verdict += fmt.Sprintf(" Not tried: %s.", strings.Join(untried, ", "))
	}
	return verdict
}

// doubts say why a run proves less than its checks do; none for a run that came to its
// end, with a server that answered.
func (r *Report) doubts() (doubts []string) {
	if r.Interrupted {
		doubts = append(doubts, "the run was interrupted")
	}
	if n := r.figure("failed_calls"); n != nil && *n > 0 {
		doubts = append(doubts, integer(int64(*n))+" calls failed")
	}
	if n := r.figure("exhausted_calls"); n != nil && *n > 0 {
		doubts = append(doubts, integer(int64(*n))+" calls were refused by a busy server")
	}
	if n := r.figure("viewers_checked"); n != nil && *n == 0 {
		doubts = append(doubts, "no viewer was checked to the end")
	}
	return doubts
}

// figure is the value of a figure, nil if it is not known.
func (r *Report) figure(name string) *float64 {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// details are the checks' sources, largest first, and their examples.
func (r *Report) details() []string {
	var lines []string
	for _, c := range r.Checks {
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
			lines = append(lines, fmt.Sprintf("%s by source: %s", c.Name, strings.Join(sources, ", ")))
		}
		for _, example := range c.Examples {
			lines = append(lines, c.Name+": "+example)
		}
	}
	return lines
}
