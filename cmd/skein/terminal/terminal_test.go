package terminal

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
)

// The whole commands are tested against a real server in cmd/skein.

func read(t interface{ Fatal(...any) }, lines string) *graph.Graph {
	g, _, err := graph.Read(strings.NewReader(lines), "test", graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// However a graph is cut into messages, and wherever one begins, the follows are
// those of the graph, by viewer and then author.
func TestCursorSkipsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines strings.Builder
		for range rapid.IntRange(1, 40).Draw(t, "edges") {
			pair := rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 2, 2, rapid.ID[int]).Draw(t, "edge")
			lines.WriteString(strings.Repeat("1", pair[0]) + " " + strings.Repeat("1", pair[1]) + "\n")
		}
		g := read(t, lines.String())
		var want, got [][2]int64
		for viewer := range uint32(g.Users()) {
			for _, author := range g.Following(viewer) {
				want = append(want, [2]int64{int64(g.ID(viewer)), int64(g.ID(author))})
			}
		}
		from := rapid.Int64Range(0, g.Follows()).Draw(t, "from")
		c := newCursor(g)
		c.skip(from)
		for left := g.Follows() - from; left > 0; {
			n := rapid.Int64Range(1, left).Draw(t, "message")
			for _, f := range c.next(n).GetFollows() {
				got = append(got, [2]int64{f.GetViewerId(), f.GetAuthorId()})
			}
			left -= n
		}
		if !slices.Equal(got, want[from:]) {
			t.Fatalf("from %d: %v, want %v", from, got, want[from:])
		}
	})
}

// A position fits the graph in which it was printed, and no other.
func TestPosition(t *testing.T) {
	g := read(t, "1 2\n1 3\n2 1\n")
	var p position
	if err := p.Set(positionIn(g, 2).String()); err != nil || p.follows != 2 {
		t.Fatalf("%+v (%v)", p, err)
	}
	if err := p.check(g); err != nil {
		t.Errorf("in its own graph: %v", err)
	}
	for name, lines := range map[string]string{
		"one more":       "1 2\n1 3\n2 1\n3 1\n",
		"one other":      "1 2\n1 3\n3 1\n",
		"another viewer": "1 2\n2 3\n2 1\n",
		"other ids":      "2 3\n2 4\n3 2\n",
		"the other way":  "2 1\n3 1\n1 2\n",
	} {
		if p.check(read(t, lines)) == nil {
			t.Errorf("%s: the position of another graph is taken", name)
		}
	}
	beyond := positionIn(g, 4)
	if beyond.check(g) == nil {
		t.Error("a position beyond the last follow is taken")
	}
	for _, text := range []string{"", "3", "-", "3-", "0-0000000000000000", "-1-0000000000000000", "3-00", "3-000000000000000g", "+3-0000000000000000", "3-0000000000000000 "} {
		if new(position).Set(text) == nil {
			t.Errorf("%q is taken for a position", text)
		}
	}
}

// A source that the API knows has a name here.
func TestEverySourceHasAName(t *testing.T) {
	for number := range feedv1.Source_name {
		s := feedv1.Source(number)
		if name := sourceOf(s).name; s != feedv1.Source_SOURCE_UNSPECIFIED && strings.HasPrefix(name, "SOURCE_") {
			t.Errorf("%s has no name for people", s)
		}
	}
}

func TestQuoted(t *testing.T) {
	for word, want := range map[string]string{
		"a/b-1.txt": "a/b-1.txt", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'", "~": "'~'", "[::1]:7460": "'[::1]:7460'",
	} {
		if got := quoted(word); got != want {
			t.Errorf("%q for a shell is %s, want %s", word, got, want)
		}
	}
}
