package report

import (
	"fmt"
	"slices"
	"strings"

	"skein/loadgen/report/chart"
)

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

func (r *Report) callsFigure() figure {
	f := r.overTime("Calls answered", "Calls of the load that succeeded, by when they were answered.", "calls per second")
	if r.Series == nil {
		return f
	}
	others := Line{}
	for _, l := range r.Series.Calls {
		switch l.Name {
		case "GetHomeTimeline":
			f.line(0, "reads", false, r.Series.points(l.Points))
		case "CreatePost":
			f.line(1, "posts", false, r.Series.points(l.Points))
		default:
			others = others.plus(l)
		}
	}
	if len(others.Points) > 0 {
		f.line(2, "follows, unfollows, deletes", false, r.Series.points(others.Points))
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
	f.line(0, "deliveries", false, r.Series.points(r.Series.Deliveries))
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
			f.line(laneRank(l.Name), l.Name, false, r.Series.points(l.Points))
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
