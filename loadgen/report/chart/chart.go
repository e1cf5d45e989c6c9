// Package chart draws lines over one horizontal axis as SVG that stands inside
// a page of HTML. It has no colours of its own: it names properties of the
// page's style sheet (Style has them), so that one chart serves light, dark and
// paper. It knows nothing of what it shows.
//
// Legends are the page's business, since a page can break lines and a chart
// cannot: Key draws what stands beside a line's name.
package chart

import (
	"math"
)

// Chart is drawn by SVG. What has no finite points is drawn empty; say so
// instead (Empty).
type Chart struct {
	// Title says what is seen, for those who do not see it.
	Title string
	X, Y  Axis
	Bands []Band
	Lines []Line
}

// Axis is one of a chart's two.
type Axis struct {
	// Title, with the unit.
	Title string
	// Log makes equal factors equal lengths. Values of 0 and below are gaps, as
	// are, on any axis, those beyond all measure.
	Log bool
	// Min and Max are what it shows at least; both 0: only what there is.
	Min, Max float64
	// Ticks, if not nil, are all there are.
	Ticks []Tick
	// Format labels the ticks that are chosen; nil: as a plain number.
	Format func(float64) string
}

// Tick is a mark of an axis.
type Tick struct {
	At    float64
	Label string
}

// Band marks a part of the X axis, in one of two depths.
type Band struct {
	From, To float64
	Deep     bool
}

// Line joins points by rising X.
type Line struct {
	// Look chooses colour, dashes and shape, from 0; there are Looks of them,
	// which differ without colour too.
	Look int
	// Marked shows each point. Without it only those that no line reaches are
	// shown.
	Marked bool
	Points []Point
}

// Point of a line. Of a gap, Y is NaN: what lies before is not joined to what
// lies behind.
type Point struct {
	X, Y float64
	// Top, above Y, is where a thin whisker ends that begins at Y.
	Top float64
}

// Empty reports whether there is nothing to be seen.
func (c Chart) Empty() bool {
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if c.shows(p) {
				return false
			}
		}
	}
	return true
}

// shows reports whether a point has a place on both axes.
func (c Chart) shows(p Point) bool { return c.X.shows(p.X) && c.Y.shows(p.Y) }

// largest is the size of the largest value that has a place; on a logarithmic
// axis its reciprocal is the least.
const largest = 1e15

func (a Axis) shows(v float64) bool {
	return math.Abs(v) <= largest && (!a.Log || v >= 1/largest) // never if it is NaN
}

// Share gives the charts one range of both axes, so that they can be compared by
// eye.
func Share(charts ...*Chart) {
	var x, y span
	for _, c := range charts {
		cx, cy := c.spans()
		x, y = x.join(cx), y.join(cy)
	}
	for _, c := range charts {
		c.X.Min, c.X.Max, c.Y.Min, c.Y.Max = x.min, x.max, y.min, y.max
	}
}
