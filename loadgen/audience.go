package loadgen

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"skein/loadgen/graph"
)

// audience is what a run wants to know of the graph beyond who follows whom. It
// never changes.
type audience struct {
	*graph.Graph
	celebrities []uint32
	// reach[i] is the sum of the posting weights of users 0 … i.
	reach []float64
	// decile[i] is 1 … 10 by follower count among those who have any, else 0.
	decile []uint8
	// The followers of user i are followers[rows[i]:rows[i+1]].
	rows      []int64
	followers []uint32
}

func newAudience(g *graph.Graph, celebrities int, rng *rand.Rand) *audience {
	a := &audience{Graph: g, reach: make([]float64, g.Users()), decile: make([]uint8, g.Users())}
	ranked := g.ByFollowers()
	followed := sort.Search(len(ranked), func(i int) bool { return g.FollowerCount(ranked[i]) == 0 })
	a.celebrities = slices.Clone(ranked[:min(celebrities, followed)])
	for rank, i := range ranked[:followed] {
		a.decile[i] = uint8(10 - rank*10/followed)
	}
	sum := 0.0
	for i := range a.reach {
		sum += weight(g.FollowerCount(uint32(i)), rng)
		a.reach[i] = sum
	}
	a.invert()
	return a
}

// weight is how often somebody with so many followers posts, after Pequod's
// twip workload.
func weight(followers int, rng *rand.Rand) float64 {
	switch {
	case followers == 0:
		return 0
	case followers < 10:
		return 0.1
	default:
		return 1 + float64(rng.IntN(int(2*math.Log10(float64(followers)))))
	}
}

// invert lists the followers of each user.
func (a *audience) invert() {
	users := a.Users()
	a.rows = make([]int64, users+1)
	for i := range users {
		a.rows[i+1] = a.rows[i] + int64(a.FollowerCount(uint32(i)))
	}
	a.followers = make([]uint32, a.rows[users])
	next := slices.Clone(a.rows[:users])
	for i := range users {
		for _, author := range a.Following(uint32(i)) {
			a.followers[next[author]] = uint32(i)
			next[author]++
		}
	}
}

// author draws who posts.
func (a *audience) author(rng *rand.Rand) uint32 {
	x := rng.Float64() * a.reach[len(a.reach)-1]
	i := sort.Search(len(a.reach), func(i int) bool { return a.reach[i] > x })
	return uint32(min(i, len(a.reach)-1))
}

// user draws anybody.
func (a *audience) user(rng *rand.Rand) uint32 { return uint32(rng.IntN(a.Users())) }

// follower draws one of author's followers; false if there are none.
func (a *audience) follower(author uint32, rng *rand.Rand) (uint32, bool) {
	row := a.followers[a.rows[author]:a.rows[author+1]]
	if len(row) == 0 {
		return 0, false
	}
	return row[rng.IntN(len(row))], true
}

// celebrity reports whether user is one.
func (a *audience) celebrity(user uint32) bool { return slices.Contains(a.celebrities, user) }

// bystander reports whether viewer follows no celebrity, and is none.
func (a *audience) bystander(viewer uint32) bool {
	following := a.Following(viewer)
	for _, c := range a.celebrities {
		if _, follows := slices.BinarySearch(following, c); follows || c == viewer {
			return false
		}
	}
	return true
}
