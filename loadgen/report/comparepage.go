package report

import (
	"html/template"

	"skein/loadgen/report/chart"
)

// WritePage replaces the file at path by the comparison as a page, as Write
// does. Charts of A and of B stand beside each other, with the same axes.
func (c Comparison) WritePage(path string) error { return writePage(path, "compare", c.page()) }

// comparePage is what the template compare.html shows.
type comparePage struct {
	Style    template.CSS
	Facts    []fact
	Warnings []string
	Checks   table
	Pairs    [][2]figure
	Tables   []table
}

func (c Comparison) page() comparePage {
	tables := c.tables()
	p := comparePage{Style: style, Facts: c.facts(), Warnings: c.Warnings(), Checks: tables[0], Tables: tables[1:]}
	a, b := c.A.allFigures(), c.B.allFigures()
	for i := range a {
		if a[i].Missing == "" && b[i].Missing == "" {
			chart.Share(&a[i].chart, &b[i].chart)
		}
		a[i].Title, b[i].Title = "A: "+a[i].Title, "B: "+b[i].Title
		p.Pairs = append(p.Pairs, [2]figure{a[i], b[i]})
	}
	return p
}

// allFigures, in the order of the page; as many for every report.
func (r *Report) allFigures() []figure {
	return []figure{
		r.lagFigure(), r.latencyFigure("GetHomeTimeline", "Latency of reads"),
		r.latencyFigure("CreatePost", "Latency of writes"), r.callsFigure(), r.deliveriesFigure(), r.backlogFigure(),
	}
}
