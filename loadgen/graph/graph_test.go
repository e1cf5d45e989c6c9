package graph

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strings"
	"testing"

	"skein/feed"
)

func mustSynthesize(t testing.TB, s Synthetic) *Graph {
	t.Helper()
	g, err := Synthesize(s)
	if err != nil {
		t.Fatalf("Synthesize(%+v): %v", s, err)
	}
	return g
}

// hashOf depends on every follow.
func hashOf(g *Graph) string {
	h := fnv.New64a()
	for i := range uint32(g.Users()) {
		_ = binary.Write(h, binary.LittleEndian, int64(g.ID(i)))
		_ = binary.Write(h, binary.LittleEndian, g.Following(i))
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// requireSound checks what holds for every graph.
func requireSound(t interface {
	Helper()
	Fatalf(string, ...any)
}, g *Graph,
) {
	t.Helper()
	followers := make([]int, g.Users())
	var follows int64
	for i := range uint32(g.Users()) {
		if i > 0 && g.ID(i) <= g.ID(i-1) || !g.ID(i).Valid() {
			t.Fatalf("index %d has id %d", i, g.ID(i))
		}
		if at, found := g.Index(g.ID(i)); !found || at != i {
			t.Fatalf("Index(%d) = %d, %v; want %d", g.ID(i), at, found, i)
		}
		row := g.Following(i)
		for k, author := range row {
			if author == i || int(author) >= g.Users() || k > 0 && author <= row[k-1] {
				t.Fatalf("user %d of %d follows %v", i, g.Users(), row)
			}
			followers[author]++
		}
		follows += int64(len(row))
	}
	if follows != g.Follows() || follows == 0 {
		t.Fatalf("%d follows, Follows() = %d", follows, g.Follows())
	}
	list := g.ByFollowers()
	seen := make([]bool, g.Users())
	for rank, i := range list {
		if seen[i] || g.FollowerCount(i) != followers[i] {
			t.Fatalf("rank %d: user %d, again %v, FollowerCount %d, want %d", rank, i, seen[i], g.FollowerCount(i), followers[i])
		}
		seen[i] = true
		if rank == 0 {
			continue
		}
		if before := list[rank-1]; followers[before] < followers[i] || followers[before] == followers[i] && before > i {
			t.Fatalf("user %d (%d followers) comes before %d (%d)", before, followers[before], i, followers[i])
		}
	}
	if len(list) != g.Users() || g.MaxFollowers() != followers[list[0]] {
		t.Fatalf("%d of %d users ranked; MaxFollowers() = %d", len(list), g.Users(), g.MaxFollowers())
	}
}

func TestIndexOfStrangers(t *testing.T) {
	g, _, err := Read(strings.NewReader("2 3\n3 7\n"), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []feed.UserID{-1 << 63, -1, 0, 1, 4, 6, 8, 1<<63 - 1} {
		if i, found := g.Index(id); found {
			t.Errorf("Index(%d) = %d, want none", id, i)
		}
	}
}
