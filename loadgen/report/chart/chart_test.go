package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// elements of a picture by name; it must be well-formed.
func elements(t interface{ Fatalf(string, ...any) }, picture string) map[string]int {
	count := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("the picture is not well-formed: %v\n%s", err, picture)
		}
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
}

func TestSVGStandsByItself(t *testing.T) {
	c := Chart{
		Title: `lag of "some" <people>`, X: Axis{Title: "seconds"}, Y: Axis{Title: "ms", Log: true},
		Bands: []Band{{From: 1, To: 2}, {From: 1, To: 1.5, Deep: true}},
	}
	for look := range Looks {
		c.Lines = append(c.Lines, Line{Look: look, Marked: true, Points: []Point{{X: 0, Y: 1, Top: 2}, {X: 3, Y: float64(look + 1)}}})
	}
	picture := string(c.SVG(400, 300))
	elements(t, picture)
	for _, never := range []string{"http", "<?xml", "<!", "<script", "<image", "href", "NaN"} {
		if strings.Contains(picture, never) {
			t.Errorf("the picture contains %s", never)
		}
	}
	if colours := regexp.MustCompile(`#[0-9A-Fa-f]{6}`).FindAllString(picture, -1); colours != nil {
		t.Errorf("colours that are not the page's: %v", colours)
	}
	for i := ink(0); i < inkLine+Looks; i++ {
		if !strings.Contains(picture, "var("+i.property()+")") {
			t.Errorf("%s is not used", i.property())
		}
	}
	if !strings.Contains(picture, `aria-label="lag of &#34;some&#34; &lt;people&gt;"`) {
		t.Errorf("it does not say what it is: %s", picture[:200])
	}
}

// Two lines differ without colour, too: by dashes or by shape.
func TestLooksDifferInGrey(t *testing.T) {
	colour := regexp.MustCompile(`var\(--chart-line\d\)`)
	seen := map[string]int{}
	for look := range Looks {
		for _, marked := range []bool{false, true} {
			grey := colour.ReplaceAllString(string(Key(look, marked)), "grey")
			if other, again := seen[grey]; again {
				t.Errorf("looks %d and %d are the same in grey", other, look)
			}
			seen[grey] = look
		}
	}
	if Key(-1, true) == "" || Key(Looks, true) != Key(0, true) {
		t.Error("looks beyond the last do not begin again")
	}
}

// Gaps are gaps: what lies on both sides of one is not joined, and a point alone
// is shown.
func TestGaps(t *testing.T) {
	c := Chart{Y: Axis{Log: true}}
	points := []Point{{X: 0, Y: 1}, {X: 1, Y: 2}, Gap(2), {X: 3, Y: 3}, {X: 4, Y: 0}, {X: 5, Y: -1}, Gap(6), {X: 7, Y: 5}, {X: 8, Y: 5}}
	parts := c.joined(points)
	if len(parts) != 3 || len(parts[0]) != 2 || len(parts[1]) != 1 || len(parts[2]) != 2 {
		t.Errorf("joined %v", parts)
	}
	if !(Chart{Lines: []Line{{Points: []Point{Gap(1), Gap(2)}}}}).Empty() {
		t.Error("gaps alone are something")
	}
	c.Lines = []Line{{Points: []Point{{X: 1, Y: 0}}}}
	if !c.Empty() {
		t.Error("0 has a place on a logarithmic axis")
	}
	c.Y.Log = false
	if c.Empty() {
		t.Error("0 has no place on a linear axis")
	}
}

// Whatever the values are, something is drawn, and nowhere at NaN or infinity.
func TestAnyValuesCanBeDrawn(t *testing.T) {
	values := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 1000),
		rapid.SampledFrom([]float64{0, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, -1, 1e15, 1e-15}))
	rapid.Check(t, func(t *rapid.T) {
		axis := func(name string) Axis {
			a := Axis{Log: rapid.Bool().Draw(t, name+" log")}
			if rapid.Bool().Draw(t, name+" asked") {
				a.Min, a.Max = values.Draw(t, name+" min"), values.Draw(t, name+" max")
			}
			return a
		}
		c := Chart{X: axis("x"), Y: axis("y"), Bands: []Band{{From: values.Draw(t, "from"), To: values.Draw(t, "to")}}}
		var points []Point
		for range rapid.IntRange(0, 5).Draw(t, "points") {
			points = append(points, Point{X: values.Draw(t, "x"), Y: values.Draw(t, "y"), Top: values.Draw(t, "top")})
		}
		c.Lines = []Line{{Points: points}, {Marked: true, Points: points}}
		picture := string(c.SVG(344, 250))
		elements(t, picture)
		if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
			t.Fatalf("drawn at no place: %s", picture)
		}
	})
}

// Ticks are few, but two at least, and lie on the axis.
func TestTicksAreFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Axis{Log: rapid.Bool().Draw(t, "log")}
		low := rapid.Float64Range(1e-6, 1e6).Draw(t, "low")
		high := low + rapid.Float64Range(0, 1e6).Draw(t, "width")
		most := rapid.IntRange(2, 10).Draw(t, "most")
		s := a.rounded(span{low, high, true}, most)
		ticks := a.ticks(s, most)
		if len(ticks) < 2 || len(ticks) > most+2 {
			t.Fatalf("%d ticks from %g to %g, at most about %d were wanted: %v", len(ticks), s.min, s.max, most, ticks)
		}
		for i, tick := range ticks {
			if tick.At < s.min*(1-1e-9) || tick.At > s.max*(1+1e-9) || i > 0 && tick.At <= ticks[i-1].At {
				t.Fatalf("from %g to %g: %v", s.min, s.max, ticks)
			}
		}
		if s.min > low || s.max < high*(1-1e-9) {
			t.Fatalf("from %g to %g became %g to %g", low, high, s.min, s.max)
		}
	})
}

func TestShare(t *testing.T) {
	a := &Chart{Lines: []Line{{Points: []Point{{X: 0, Y: 1}, {X: 5, Y: 2}}}}}
	b := &Chart{Lines: []Line{{Points: []Point{{X: 2, Y: 1, Top: 90}, {X: 9, Y: 7}}}}}
	Share(a, b)
	for _, c := range []*Chart{a, b} {
		x, y := c.spans()
		if x != (span{0, 9, true}) || y != (span{1, 90, true}) {
			t.Errorf("axes %v and %v", x, y)
		}
	}
}
