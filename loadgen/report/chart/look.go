package chart

import (
	"fmt"
	"image/color"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ink is a colour of the page's style sheet. The plotting library knows only
// numbers, so each ink is drawn in a number of its own, which is then replaced
// by the property's name.
type ink uint8

const (
	inkText ink = iota
	inkFaint
	inkBand
	inkDeep
	inkLine // and the Looks-1 after it
)

// Looks is how many lines can be told apart.
const Looks = 5

// property of the style sheet. A page that shows charts must set all of them.
func (i ink) property() string {
	switch i {
	case inkText:
		return "--chart-text"
	case inkFaint:
		return "--chart-faint"
	case inkBand:
		return "--chart-band"
	case inkDeep:
		return "--chart-deep"
	default:
		return fmt.Sprintf("--chart-line%d", i-inkLine)
	}
}

func (i ink) color() color.Color { return color.RGBA{R: 1, G: 2, B: uint8(i) + 1, A: 255} }

// inks replaces the numbers by names.
var inks = func() *strings.Replacer {
	var pairs []string
	for i := ink(0); i < inkLine+Looks; i++ {
		pairs = append(pairs, fmt.Sprintf("#0102%02X", uint8(i)+1), "var("+i.property()+")")
	}
	// The library measures with its own copy of Liberation Sans; those named
	// behind it have the same widths.
	pairs = append(pairs, "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
	return strings.NewReplacer(pairs...)
}()

// look is how a line is told from others, in grey as well.
type look struct {
	line  draw.LineStyle
	glyph draw.GlyphStyle
}

var (
	dashes = [Looks][]vg.Length{nil, {7, 3}, {2, 3}, {9, 3, 2, 3}, {14, 4}}
	shapes = [Looks]draw.GlyphDrawer{
		draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.CrossGlyph{},
	}
)

// lookOf is the look of that number; beyond Looks they begin again.
func lookOf(number int) look {
	number = ((number % Looks) + Looks) % Looks
	c := (inkLine + ink(number)).color()
	return look{
		line:  draw.LineStyle{Color: c, Width: 1.8, Dashes: dashes[number]},
		glyph: draw.GlyphStyle{Color: c, Radius: 3, Shape: shapes[number]},
	}
}
