package loadgen

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"skein/loadgen/oracle"
	"skein/loadgen/report"
)

// leastLook is the least time between two looks at the servers' metrics.
const leastLook = time.Second

// look is what the servers' metrics said at a moment; all of it unknown if they
// could not be read.
type look struct {
	at oracle.Moment
	scrape
}

// watched carries out stages while the servers' metrics are looked at.
func (r *run) watched(stages ...func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		watching, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.watch(watching)
		}()
		for _, stage := range stages {
			if ctx.Err() == nil {
				stage(ctx)
			}
		}
		stop()
		<-ended
	}
}

// watch looks about once a second, in long loads once a step, until ctx ends.
func (r *run) watch(ctx context.Context) {
	if len(r.cfg.Metrics) == 0 {
		return
	}
	every := max(leastLook, r.recorder.course.step)
	for {
		s, _ := readMetrics(ctx, r.cfg.Metrics) // what is unknown is a gap
		if ctx.Err() != nil {
			return
		}
		r.looks = append(r.looks, look{at: r.now(), scrape: s})
		if !wait(ctx, every-r.now()%every) {
			return
		}
	}
}

// lastKnown is s or, if its servers could not be asked any more, the last look at which
// they could: what they told before they died stays known.
func (r *run) lastKnown(s scrape) scrape {
	for _, l := range slices.Backward(r.looks) {
		if s.sums == nil {
			s = l.scrape
		}
	}
	return s
}

// series is how the load went over time; nil if it never began.
func (r *run) series() *report.Series {
	if r.loaded == 0 {
		return nil
	}
	s := &report.Series{
		Step:       r.recorder.course.step.Seconds(),
		Lag:        r.recorder.course.lagLines(),
		Calls:      r.recorder.course.callLines(r.loaded),
		Deliveries: deliveryRates(r.looks, r.began),
		Backlog:    backlogLines(r.looks, r.began),
	}
	begin, end, over := r.cfg.burst()
	if r.bursts() && r.loaded > begin {
		s.Burst = &report.Burst{Begin: begin.Seconds(), End: end.Seconds(), Over: over.Seconds()}
	}
	return s
}

// backlogLines has a line for each lane that was ever seen.
func backlogLines(looks []look, began oracle.Moment) []report.Line {
	lanes := map[string]bool{}
	for _, l := range looks {
		for lane := range l.backlog {
			lanes[lane] = true
		}
	}
	var lines []report.Line
	for _, lane := range slices.Sorted(maps.Keys(lanes)) {
		line := report.Line{Name: lane}
		for _, l := range looks {
			p := report.Point{At: (l.at - began).Seconds()}
			if records, ok := l.backlog[lane]; ok && !math.IsNaN(records) {
				p.Value = &records
			}
			line.Points = append(line.Points, p)
		}
		lines = append(lines, line)
	}
	return lines
}

// deliveryRates has a point between each two looks.
func deliveryRates(looks []look, began oracle.Moment) []report.Point {
	const deliveries = "skein_deliveries_total"
	var points []report.Point
	for i := range len(looks) - 1 {
		from, to := looks[i], looks[i+1]
		p := report.Point{At: ((from.at+to.at)/2 - began).Seconds()}
		if n := to.since(from.scrape, deliveries); n != nil && from.known(deliveries) != nil {
			p.Value = new(*n / (to.at - from.at).Seconds())
		}
		points = append(points, p)
	}
	return points
}
