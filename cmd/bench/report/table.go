package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Table writes the report for people: a line for each row, then how each was
// measured.
func (r Report) Table(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%d cores, %.1f GiB of memory\n\n", r.Machine.Cores, float64(r.Machine.Memory)/(1<<30))
	t := tabwriter.NewWriter(&s, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\tvalue\tceiling\tratio\ttarget\t")
	for _, row := range r.Rows {
		ceiling, ratio := "-", "-"
		if row.Ceiling != nil {
			ceiling, ratio = amount(*row.Ceiling, row.Unit), number(*row.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Name, amount(row.Value, row.Unit), ceiling, ratio, row.target(), row.verdict())
	}
	_ = t.Flush() // a strings.Builder takes everything
	for _, row := range r.Rows {
		fmt.Fprintf(&s, "\n%s: %s.", row.Name, row.Setup)
		if row.CeilingName != nil {
			fmt.Fprintf(&s, " Ceiling: %s.", *row.CeilingName)
		}
		s.WriteString("\n")
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func (r Row) target() string {
	if r.Target == nil {
		return "-"
	}
	bound := "at least "
	if r.Better == Lower {
		bound = "at most "
	}
	if r.Ratio != nil {
		return bound + number(*r.Target) + " of it"
	}
	return bound + amount(*r.Target, r.Unit)
}

// verdict says whether the target was reached, or by how much it was missed.
func (r Row) verdict() string {
	switch {
	case r.Reached == nil:
		return ""
	case *r.Reached:
		return "reached"
	}
	return fmt.Sprintf("missed by %.0f %%", 100*math.Abs(r.judged()-*r.Target) / *r.Target)
}

func amount(n float64, unit string) string { return number(n) + " " + unit }

// number writes n with three digits that matter, and with commas.
func number(n float64) string {
	switch a := math.Abs(n); {
	case a >= 999.5:
		return Count(int(math.Round(n)))
	case a >= 100:
		return strconv.FormatFloat(n, 'f', 0, 64)
	default:
		return strconv.FormatFloat(n, 'g', 3, 64)
	}
}
