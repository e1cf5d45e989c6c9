package graph

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The graph of random lines is what a set of pairs says it is.
func TestReadAgainstModel(t *testing.T) {
	type edge [2]uint64
	rapid.Check(t, func(t *rapid.T) {
		node := rapid.OneOf(rapid.Uint64Range(0, 9), rapid.Uint64Range(1, 5000), rapid.Uint64Range(1<<26-2, 1<<26+2), rapid.Uint64Range(1, maxNode))
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) edge { return edge{node.Draw(t, "a"), node.Draw(t, "b")} }), 1, 60).Draw(t, "edges")
		o := Options{Reverse: rapid.Bool().Draw(t, "reverse"), Undirected: rapid.Bool().Draw(t, "undirected")}

		var text strings.Builder
		var want Notes
		model := map[edge]bool{}
		add := func(e edge) {
			if model[e] {
				want.Duplicates++
			}
			model[e] = true
		}
		for _, e := range lines {
			text.WriteString(rapid.SampledFrom([]string{"", " ", "\n", "# 1 2\n", "%\r\n"}).Draw(t, "before"))
			fmt.Fprint(&text, e[0], rapid.SampledFrom([]string{" ", "\t", ",", " , "}).Draw(t, "between"), e[1])
			text.WriteString(rapid.SampledFrom([]string{"\n", "\r\n", " 17\n", ",\n"}).Draw(t, "after"))
			want.Shifted = want.Shifted || e[0] == 0 || e[1] == 0
			switch {
			case e[0] == e[1]:
				want.SelfFollows++
			case o.Undirected:
				add(e)
				add(edge{e[1], e[0]})
			case o.Reverse:
				add(edge{e[1], e[0]})
			default:
				add(e)
			}
		}
		want.Lines = int64(strings.Count(text.String(), "\n"))

		g, notes, err := Read(strings.NewReader(text.String()), "random", o)
		if notes != want && len(model) > 0 {
			t.Fatalf("notes %+v, want %+v", notes, want)
		}
		if len(model) == 0 {
			if err == nil {
				t.Fatalf("no follow, and no error")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		requireSound(t, g)
		got := map[edge]bool{}
		for i := range uint32(g.Users()) {
			for _, author := range g.Following(i) {
				e := edge{uint64(g.ID(i)), uint64(g.ID(author))}
				if want.Shifted {
					e[0], e[1] = e[0]-1, e[1]-1
				}
				got[e] = true
			}
		}
		if !maps.Equal(got, model) {
			t.Fatalf("follows %v, want %v", got, model)
		}
	})
}

// Whatever the bytes, reading ends in a sound graph or an error, never both.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "1 2\n", "# c\n0,1,5\r\n1 0", "\ufeff1\t2", "1 2\n1 2\n2 2\n", "9223372036854775806 67108864\nx",
		"1 2 " + strings.Repeat("z", maxLine) + "\n1 2", string(zip(f, "1 2\n2 3\n")), "\x1f\x8b\x08",
	} {
		for options := range uint8(8) {
			f.Add([]byte(seed), options)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, options uint8) {
		o := Options{Reverse: options&1 != 0, Undirected: options&2 != 0, SkipBad: options&4 != 0}
		g, notes, err := Read(bytes.NewReader(data), "fuzz", o)
		if (g == nil) == (err == nil) {
			t.Fatalf("graph %v and error %v", g != nil, err)
		}
		if (notes.Skipped > 0) != (notes.FirstSkipped != "") || notes.Skipped > 0 && !o.SkipBad {
			t.Fatalf("notes %+v with %+v", notes, o)
		}
		if g != nil {
			requireSound(t, g)
		}
	})
}
