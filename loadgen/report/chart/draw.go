package chart

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// letters is the size of all text, in pixels of the page.
const letters = 13

var sans = font.Font{Typeface: "Liberation", Variant: "Sans", Size: letters}

// plotted is the chart for a canvas of that width, with at most so many ticks.
func (c Chart) plotted(width float64) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	xs, ys := c.spans()
	mostX, mostY := int(width/80), 5
	if !xs.some {
		xs = span{0, 1, true}
	}
	if xs.min == xs.max {
		xs.max++
	}
	ys = c.Y.rounded(ys, mostY)
	style(&p.X, c.X, xs, mostX)
	style(&p.Y, c.Y, ys, mostY)
	p.Y.Padding = 0
	c.frame(p)
	for _, l := range c.Lines {
		p.Add(drawn(func(canvas draw.Canvas, p *plot.Plot) { c.line(l, canvas, p) }))
	}
	return p
}

func style(a *plot.Axis, from Axis, s span, most int) {
	a.Min, a.Max = from.place(s.min), from.place(s.max)
	var marks plot.ConstantTicks
	for _, t := range from.ticks(s, most) {
		marks = append(marks, plot.Tick{Value: from.place(t.At), Label: t.Label})
	}
	a.Tick.Marker = marks
	a.Label.Text = from.Title
	a.Label.Padding = 4
	a.Label.TextStyle.Font, a.Tick.Label.Font = sans, sans
	a.Label.TextStyle.Color, a.Tick.Label.Color = inkText.color(), inkText.color()
	a.Color, a.Tick.Color = inkText.color(), inkText.color()
	a.Width, a.Tick.Width, a.Tick.Length = 1, 1, 4
}

// drawn makes a function a plotter.
type drawn func(draw.Canvas, *plot.Plot)

func (d drawn) Plot(c draw.Canvas, p *plot.Plot) { d(c, p) }

// frame draws what lies behind the lines: bands, and where the ticks are.
func (c Chart) frame(p *plot.Plot) {
	p.Add(drawn(func(canvas draw.Canvas, p *plot.Plot) {
		x, y := p.Transforms(&canvas)
		for _, b := range c.Bands {
			from, to := max(c.X.place(b.From), p.X.Min), min(c.X.place(b.To), p.X.Max)
			if !(from < to) {
				continue
			}
			fill := inkBand
			if b.Deep {
				fill = inkDeep
			}
			canvas.FillPolygon(fill.color(), []vg.Point{
				{X: x(from), Y: canvas.Min.Y},
				{X: x(to), Y: canvas.Min.Y},
				{X: x(to), Y: canvas.Max.Y},
				{X: x(from), Y: canvas.Max.Y},
			})
		}
		faint := draw.LineStyle{Color: inkFaint.color(), Width: 1}
		for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
			canvas.StrokeLine2(faint, canvas.Min.X, y(t.Value), canvas.Max.X, y(t.Value))
		}
	}))
}

// line draws a line: whiskers, then what joins the points, then the points.
func (c Chart) line(l Line, canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	look := lookOf(l.Look)
	whisker := look.line
	whisker.Width, whisker.Dashes = 1, nil
	for _, joined := range c.joined(l.Points) {
		path := make([]vg.Point, len(joined))
		for i, at := range joined {
			path[i] = vg.Point{X: x(c.X.place(at.X)), Y: y(c.Y.place(at.Y))}
			if at.Top > at.Y && c.Y.shows(at.Top) {
				canvas.StrokeLine2(whisker, path[i].X, path[i].Y, path[i].X, y(c.Y.place(at.Top)))
			}
		}
		if len(path) > 1 {
			canvas.StrokeLines(look.line, path)
		}
		if l.Marked || len(path) == 1 {
			for _, at := range path {
				canvas.DrawGlyphNoClip(look.glyph, at)
			}
		}
	}
}

// joined cuts points at their gaps.
func (c Chart) joined(points []Point) [][]Point {
	var parts [][]Point
	open := false
	for _, p := range points {
		if !c.shows(p) {
			open = false
			continue
		}
		if !open {
			parts, open = append(parts, nil), true
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], p)
	}
	return parts
}

// Gap is the point at x of which nothing is known.
func Gap(x float64) Point { return Point{X: x, Y: math.NaN()} }
