package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

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

// line adds a line and its key. The same thing has the same look in every
// report.
func (f *figure) line(look int, name string, marked bool, points []chart.Point) {
	f.chart.Lines = append(f.chart.Lines, chart.Line{Look: look, Marked: marked, Points: points})
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

// end of the time that is known, in seconds.
func (s *Series) end() float64 {
	if s == nil {
		return 0
	}
	end := 0.0
	for _, lines := range [][]Line{s.Calls, s.Backlog} {
		for _, l := range lines {
			for _, p := range l.Points {
				end = max(end, p.At)
			}
		}
	}
	return end
}

func (r *Report) lagFigure() figure {
	f := r.overTime("Lag of celebrities' followers and of bystanders",
		"From a post's acknowledgement until a follower's read shows it. Points are medians of the probes of a step; "+
			"a thin line goes up to the longest. Where nobody was probed there is no point.", "lag in ms, log scale")
	f.chart.Y.Log, f.chart.Y.Format = true, milliseconds
	if r.Series == nil {
		return f
	}
	for look, who := range []string{"bystanders", "celebrity_followers"} {
		var points []chart.Point
		for _, l := range r.Series.Lag {
			if l.Who == who {
				points = lagPoints(l.Points, r.Series.Step)
			}
		}
		f.line(look, people[who], true, points)
	}
	return f.missing("not measured: no probe saw its post")
}

var people = map[string]string{"bystanders": "bystanders", "celebrity_followers": "celebrities' followers"}

// lagPoints leave a gap where a step has no probes.
func lagPoints(steps []LagStep, step float64) []chart.Point {
	var points []chart.Point
	for i, s := range steps {
		if i > 0 && s.At-steps[i-1].At > 1.5*step {
			points = append(points, chart.Gap(s.At))
		}
		points = append(points, chart.Point{X: s.At, Y: value(s.P50), Top: value(s.Max)})
	}
	return points
}

// value is NaN, a gap, if it is unknown.
func value(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

func points(of []Point) []chart.Point {
	list := make([]chart.Point, len(of))
	for i, p := range of {
		list[i] = chart.Point{X: p.At, Y: value(p.Value)}
	}
	return list
}

func (r *Report) callsFigure() figure {
	f := r.overTime("Calls answered", "Calls of the load that succeeded, by when they were answered.", "calls per second")
	if r.Series == nil {
		return f
	}
	others := Line{}
	for _, l := range r.Series.Calls {
		switch l.Name {
		case "GetHomeTimeline":
			f.line(0, "reads", false, points(l.Points))
		case "CreatePost":
			f.line(1, "posts", false, points(l.Points))
		default:
			others = others.plus(l)
		}
	}
	if len(others.Points) > 0 {
		f.line(2, "follows, unfollows, deletes", false, points(others.Points))
	}
	return f.missing("not measured: no call was answered")
}

// plus adds up two lines, by position; what one lacks is unknown.
func (l Line) plus(m Line) Line {
	if len(l.Points) == 0 {
		return m
	}
	sum := Line{}
	for i := range min(len(l.Points), len(m.Points)) {
		p := Point{At: l.Points[i].At}
		if a, b := l.Points[i].Value, m.Points[i].Value; a != nil && b != nil {
			p.Value = new(*a + *b)
		}
		sum.Points = append(sum.Points, p)
	}
	return sum
}

func (r *Report) deliveriesFigure() figure {
	f := r.overTime("Deliveries", "Entries appended to live timelines, between two looks at the servers' metrics.", "deliveries per second")
	if r.Series == nil {
		return f
	}
	f.line(0, "deliveries", false, points(r.Series.Deliveries))
	return f.missing(noMetrics)
}

// lanes in the order in which work goes through them; others come last.
var lanes = []string{"outbox", "small", "large", "bulk", "parked"}

func (r *Report) backlogFigure() figure {
	f := r.overTime("Backlog by lane",
		"Records that wait or are in work, at the moment of each look at the servers' metrics; what comes and goes between two looks is not seen.", "records")
	if r.Series == nil {
		return f
	}
	lines := slices.SortedStableFunc(slices.Values(r.Series.Backlog), func(a, b Line) int { return laneRank(a.Name) - laneRank(b.Name) })
	var idle []string
	for _, l := range lines {
		if l.idle() {
			idle = append(idle, l.Name)
		} else {
			f.line(laneRank(l.Name), l.Name, false, points(l.Points))
		}
	}
	if len(idle) > 0 {
		f.Note += " Empty at every look: " + strings.Join(idle, ", ") + "."
	}
	if len(idle) > 0 && len(idle) == len(lines) {
		f.Missing = "every lane was empty at every look"
	}
	return f.missing(noMetrics)
}

func laneRank(lane string) int {
	if i := slices.Index(lanes, lane); i >= 0 {
		return i
	}
	return len(lanes)
}

// idle reports whether a line is 0 wherever it is known, and known somewhere.
func (l Line) idle() bool {
	seen := false
	for _, p := range l.Points {
		if p.Value != nil && *p.Value != 0 {
			return false
		}
		seen = seen || p.Value != nil
	}
	return seen
}

// latencyFigure has a line for each phase, over the percentiles.
func (r *Report) latencyFigure(call, title string) figure {
	f := figure{Title: title, Note: call + ", from when a call was due until its answer."}
	f.chart = chart.Chart{
		Title: title,
		X: chart.Axis{Title: "percentile", Min: -0.2, Max: 3.2, Ticks: []chart.Tick{
			{At: 0, Label: "p50"}, {At: 1, Label: "p99"}, {At: 2, Label: "p99.9"}, {At: 3, Label: "max"},
		}},
		Y: chart.Axis{Title: "latency in ms, log scale", Log: true, Format: milliseconds},
	}
	for _, l := range r.Latency {
		if l.Call != call {
			continue
		}
		var points []chart.Point
		for i, q := range []*float64{l.P50, l.P99, l.P999, l.Max} {
			points = append(points, chart.Point{X: float64(i), Y: value(q)})
		}
		f.line(slices.Index(phases, l.Phase), fmt.Sprintf("%s (%s calls)", r.phase(l.Phase), integer(l.Count)), true, points)
	}
	return f.missing("not measured: no such call was answered")
}

// phases of a run, in the order in which they come.
var phases = []string{"before", "during", "after"}

// phase in words: a run without a burst has only one.
func (r *Report) phase(name string) string {
	if r.Workload != "spike" {
		return "the whole load"
	}
	return name
}
