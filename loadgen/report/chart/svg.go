package chart

import (
	"bytes"
	"fmt"
	"html/template"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// SVG draws the chart, in pixels of the page. It stands inside HTML: it has no
// size of its own but a viewBox, and names no other file.
func (c Chart) SVG(width, height float64) template.HTML {
	canvas := vgsvg.New(vg.Length(width), vg.Length(height))
	c.plotted(width).Draw(draw.New(canvas))
	return inline(canvas, c.Title, width, height)
}

// Size of a Key, in pixels.
const keyWidth, keyHeight = 34, 12

// Key draws a short piece of a line of that look.
func Key(number int, marked bool) template.HTML {
	canvas := vgsvg.New(keyWidth, keyHeight)
	c := draw.New(canvas)
	look := lookOf(number)
	c.StrokeLine2(look.line, 1, keyHeight/2, keyWidth-1, keyHeight/2)
	if marked {
		c.DrawGlyphNoClip(look.glyph, vg.Point{X: keyWidth / 2, Y: keyHeight / 2})
	}
	return inline(canvas, "", keyWidth, keyHeight)
}

// inline takes the picture out of the document that the library wraps it in.
func inline(canvas *vgsvg.Canvas, title string, width, height float64) template.HTML {
	var document bytes.Buffer
	_, _ = canvas.WriteTo(&document) // a buffer takes everything
	_, picture, _ := bytes.Cut(document.Bytes(), []byte("<svg"))
	_, picture, _ = bytes.Cut(picture, []byte(">"))
	about := `aria-hidden="true"`
	if title != "" {
		about = `role="img" aria-label="` + template.HTMLEscapeString(title) + `"`
	}
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %g %g" %s>%s`, width, height, about, inks.Replace(string(picture))))
}
