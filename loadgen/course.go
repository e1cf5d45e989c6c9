package loadgen

import (
	"maps"
	"slices"
	"sync"
	"time"

	"skein/loadgen/report"
)

const (
	// leastStep is the least time that a point sums up, mostSteps about how many
	// points a load has: an hour's report is not larger than a minute's.
	leastStep = 500 * time.Millisecond
	mostSteps = 120
)

// course is how the load goes over time, in steps from its begin. It is safe
// for concurrent use.
type course struct {
	step time.Duration
	mu   struct {
		sync.Mutex
		calls map[string][]int64             // that were answered in each step, by name
		lag   map[string][]*report.Histogram // of each step, by group; nil without a probe
	}
}

// newCourse is that of a load that is to take so long.
func newCourse(duration time.Duration) *course {
	steps := (duration/mostSteps + leastStep - 1) / leastStep
	c := &course{step: leastStep * max(steps, 1)}
	c.mu.calls = make(map[string][]int64)
	c.mu.lag = make(map[string][]*report.Histogram)
	return c
}

// answered counts a call that succeeded; at is when.
func (c *course) answered(name string, at time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.index(at)
	c.mu.calls[name] = grown(c.mu.calls[name], i)
	c.mu.calls[name][i]++
}

// lagged counts a probe; at is when its post was acknowledged.
func (c *course) lagged(who string, at, lag time.Duration) {
	c.mu.Lock()
	i := c.index(at)
	c.mu.lag[who] = grown(c.mu.lag[who], i)
	h := c.mu.lag[who][i]
	if h == nil {
		h = report.NewRoughHistogram()
		c.mu.lag[who][i] = h
	}
	c.mu.Unlock()
	h.Record(lag)
}

func (c *course) index(at time.Duration) int { return int(max(at, 0) / c.step) }

// grown is a list that has an entry i.
func grown[T any](list []T, i int) []T {
	if missing := i + 1 - len(list); missing > 0 {
		list = append(list, make([]T, missing)...)
	}
	return list
}

// middle of step i, in seconds.
func (c *course) middle(i int) float64 {
	return (time.Duration(i)*c.step + c.step/2).Seconds()
}

// callLines are the calls per second in the whole steps of a load that took so
// long.
func (c *course) callLines(loaded time.Duration) []report.Line {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []report.Line
	for _, name := range slices.Sorted(maps.Keys(c.mu.calls)) {
		line := report.Line{Name: name}
		steps := int(loaded / c.step)
		for i, n := range grown(c.mu.calls[name], steps)[:steps] {
			line.Points = append(line.Points, report.Point{At: c.middle(i), Value: new(float64(n) / c.step.Seconds())})
		}
		lines = append(lines, line)
	}
	return lines
}

// lagLines leave out the steps in which nothing was probed.
func (c *course) lagLines() []report.LagLine {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []report.LagLine
	for _, who := range slices.Sorted(maps.Keys(c.mu.lag)) {
		line := report.LagLine{Who: who}
		for i, h := range c.mu.lag[who] {
			if h != nil {
				line.Points = append(line.Points, report.LagStep{At: c.middle(i), Quantiles: h.Quantiles()})
			}
		}
		lines = append(lines, line)
	}
	return lines
}
