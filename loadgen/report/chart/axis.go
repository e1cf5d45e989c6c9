package chart

import (
	"math"
	"strconv"
)

// span is a range of values; the zero span is none.
type span struct {
	min, max float64
	some     bool
}

func (s span) with(v float64) span {
	if !s.some {
		return span{v, v, true}
	}
	return span{min(s.min, v), max(s.max, v), true}
}

func (s span) join(t span) span {
	if !t.some {
		return s
	}
	return s.with(t.min).with(t.max)
}

// spans are what the axes have to show.
func (c Chart) spans() (x, y span) {
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if !c.shows(p) {
				continue
			}
			x, y = x.with(p.X), y.with(p.Y)
			if p.Top > p.Y && c.Y.shows(p.Top) {
				y = y.with(p.Top)
			}
		}
	}
	return x.join(c.X.asked()), y.join(c.Y.asked())
}

func (a Axis) asked() span {
	if a.Min == 0 && a.Max == 0 || !a.shows(a.Min) || !a.shows(a.Max) {
		return span{}
	}
	return span{a.Min, a.Max, true}
}

// place is where v stands on the axis. The plotting library has logarithmic axes
// too, but panics at 0, and leaves room for their titles at a wrong place.
func (a Axis) place(v float64) float64 {
	if a.Log {
		return math.Log10(v)
	}
	return v
}

// rounded widens s to where an axis ends well: a logarithmic one at powers of
// ten, another at 0 and at a tick.
func (a Axis) rounded(s span, most int) span {
	switch {
	case !s.some && a.Log:
		return span{1, 10, true}
	case !s.some:
		return span{0, 1, true}
	case a.Log:
		low, high := math.Floor(math.Log10(s.min)), math.Ceil(math.Log10(s.max))
		return span{math.Pow(10, low), math.Pow(10, max(high, low+1)), true}
	}
	s = s.with(0)
	if s.min == s.max {
		s.max = 1
	}
	step := niceStep(s, most)
	return span{step * math.Floor(s.min/step), step * math.Ceil(s.max/step), true}
}

// ticks of a rounded span, about as many as most.
func (a Axis) ticks(s span, most int) []Tick {
	if a.Ticks != nil {
		return a.Ticks
	}
	var ticks []Tick
	add := func(v float64) {
		if v >= s.min*(1-1e-9) && v <= s.max*(1+1e-9) {
			ticks = append(ticks, Tick{At: v, Label: a.label(v)})
		}
	}
	if !a.Log {
		step := niceStep(s, most)
		for i := math.Ceil(s.min / step); i*step <= s.max+step/1e6 && len(ticks) <= most+1; i++ {
			add(i * step)
		}
		return ticks
	}
	low, high := math.Round(math.Log10(s.min)), math.Round(math.Log10(s.max))
	every := max(1, math.Ceil((high-low)/float64(most)))
	for e := low; e <= high; e += every {
		add(math.Pow(10, e))
		if high-low <= 1 { // one decade has room for more
			add(2 * math.Pow(10, e))
			add(5 * math.Pow(10, e))
		}
	}
	return ticks
}

func (a Axis) label(v float64) string {
	if a.Format != nil {
		return a.Format(v)
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// niceStep is 1, 2 or 5 times a power of ten, so that at most so many steps fill
// s.
func niceStep(s span, most int) float64 {
	raw := (s.max - s.min) / float64(max(most, 1))
	if !(raw > 0) || math.IsInf(raw, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= raw {
			return factor * power
		}
	}
	return 10 * power
}
