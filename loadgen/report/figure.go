package report

import (
	"fmt"
	"html/template"
	"math"

	"skein/loadgen/report/chart"
)

// figure is a chart with what stands around it on a page.
type figure struct {
	Title string
	Note  string
	Keys  []key
	// Missing says why there is no chart; else it is empty.
	Missing string
	chart   chart.Chart
}

// key is a line of a legend: a picture, or a band's depth, and what it means.
type key struct {
	Picture template.HTML
	Band    string
	Name    string
}

// The sizes of charts in pixels: of a page's whole width, of half of it, and on
// a narrow screen.
const (
	wholeWidth, halfWidth, narrowWidth = 900, 440, 344
	wholeHeight, narrowHeight          = 300, 250
)

// Whole, Half and Narrow are the chart's pictures.
func (f figure) Whole() template.HTML  { return f.chart.SVG(wholeWidth, wholeHeight) }
func (f figure) Half() template.HTML   { return f.chart.SVG(halfWidth, wholeHeight) }
func (f figure) Narrow() template.HTML { return f.chart.SVG(narrowWidth, narrowHeight) }

const (
	notRecorded = "not measured: this report holds nothing over time"
	noMetrics   = "not measured: the run was not told where the servers' metrics are, or could not read them"
)

// line adds a line and its key, which says so if there is nothing to be seen.
// The same thing has the same look in every report.
func (f *figure) line(look int, name string, marked bool, points []chart.Point) {
	line := chart.Line{Look: look, Marked: marked, Points: points}
	if (chart.Chart{X: f.chart.X, Y: f.chart.Y, Lines: []chart.Line{line}}).Empty() {
		name += ": not measured"
	}
	f.chart.Lines = append(f.chart.Lines, line)
	f.Keys = append(f.Keys, key{Picture: chart.Key(look, marked), Name: name})
}

// missing explains a chart with nothing in it.
func (f figure) missing(why string) figure {
	if f.Missing == "" && f.chart.Empty() {
		f.Missing = why
	}
	return f
}

// overTime is a chart of the load's time, with the burst marked.
func (r *Report) overTime(title, note, quantity string) figure {
	f := figure{Title: title, Note: note}
	f.chart = chart.Chart{
		Title: title,
		X:     chart.Axis{Title: "seconds since the load began", Max: r.Series.end()},
		Y:     chart.Axis{Title: quantity, Format: thousands},
	}
	if r.Series == nil {
		f.Missing = notRecorded
		return f
	}
	if b := r.Series.Burst; b != nil {
		f.chart.Bands = []chart.Band{{From: b.Begin, To: b.Over}, {From: b.Begin, To: b.End, Deep: true}}
		f.Keys = []key{
			{Band: "deep", Name: fmt.Sprintf("the burst, %.3g to %.3g s", b.Begin, b.End)},
			{Band: "shallow", Name: fmt.Sprintf("counted as “during”, until %.3g s", b.Over)},
		}
	}
	return f
}

// end of what there is to show over time, in seconds: of the load, or of the backlog
// that it left. The looks go on until the last page is checked.
func (s *Series) end() float64 {
	if s == nil {
		return 0
	}
	end := 0.0
	for _, l := range s.Calls {
		for _, p := range l.Points {
			end = max(end, p.At+s.Step/2) // a point is the middle of its step
		}
	}
	for _, l := range s.Backlog {
		for _, p := range l.Points {
			if p.Value != nil && *p.Value != 0 {
				end = max(end, p.At)
			}
		}
	}
	return end
}

// value is NaN, a gap, if it is unknown.
func value(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// points of a line, up to the end.
func (s *Series) points(of []Point) []chart.Point {
	var list []chart.Point
	end := s.end()
	for _, p := range of {
		if p.At <= end {
			list = append(list, chart.Point{X: p.At, Y: value(p.Value)})
		}
	}
	return list
}
