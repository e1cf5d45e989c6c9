package rows

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"skein/feed"
	"skein/feed/policy"
	"skein/loadgen/graph"
	"skein/timeline"
)

// seed makes each run draw the same graph and the same authors.
const seed = 1

// text is that of every post: 100 characters, 100 bytes.
var text = strings.Repeat("a skein of geese, ", 6)[:100]

// edges are all follows of a graph, each user's id raised by shift.
func edges(g *graph.Graph, shift feed.UserID) iter.Seq[feed.Follow] {
	return func(yield func(feed.Follow) bool) {
		for i := range uint32(g.Users()) {
			for _, author := range g.Following(i) {
				if !yield(feed.Follow{Viewer: g.ID(i) + shift, Author: g.ID(author) + shift}) {
					return
				}
			}
		}
	}
}

// drawAuthors draws n authors of posts: users of g, as indices, by a weight that
// their number of followers decides.
func drawAuthors(g *graph.Graph, n int, weight func(followers int) float64) []uint32 {
	sums, sum := make([]float64, g.Users()), 0.0
	for i := range sums {
		sum += weight(g.FollowerCount(uint32(i)))
		sums[i] = sum
	}
	random := rand.New(rand.NewPCG(seed, 1))
	authors := make([]uint32, n)
	for i := range authors {
		at, _ := slices.BinarySearch(sums, random.Float64()*sum)
		authors[i] = uint32(min(at, g.Users()-1))
	}
	return authors
}

// byFollowers lets an author post as often as followers make it: so the posts'
// mean audience is far above the authors'.
func byFollowers(followers int) float64 { return float64(followers) }

// twip is the mean of the posting rates of the twip workload (Kate et al., "Easy
// Freshness with Pequod Cache Joins", NSDI 2014).
func twip(followers int) float64 {
	switch {
	case followers == 0:
		return 0
	case followers < 10:
		return 0.1
	}
	return 1 + (math.Floor(2*math.Log10(float64(followers)))-1)/2
}

// ids are the users of g at indices, raised by shift.
func userIDs(g *graph.Graph, indices []uint32, shift feed.UserID) []feed.UserID {
	ids := make([]feed.UserID, len(indices))
	for i, index := range indices {
		ids[i] = g.ID(index) + shift
	}
	return ids
}

// filler is entries of n posts older than any other, newest first.
func filler(n int) []timeline.Entry {
	entries := make([]timeline.Entry, n)
	for i := range entries {
		entries[i] = timeline.Rebuilt(feed.PostID(n - i))
	}
	return entries
}

// makeLoud makes authors loud, and returns when posts of theirs are pulled.
func (s *stores) makeLoud(ctx context.Context, authors []feed.UserID) error {
	from := feed.IDAt(time.Now().Add(policy.Lead + policy.MaxSkew))
	for _, author := range authors {
		next := policy.History(nil).Add(policy.Change{From: from, Tier: policy.Loud})
		if err := s.Graph.ChangeTier(ctx, author, nil, next); err != nil {
			return err
		}
	}
	return until(ctx, "the authors to be loud", func() (bool, error) { return feed.IDAt(time.Now()) > from, nil })
}

// loud are those users of g who have so many followers that they are pulled.
func loud(g *graph.Graph) []feed.UserID {
	var authors []feed.UserID
	for _, i := range g.ByFollowers() {
		if int64(g.FollowerCount(i)) < policy.DefaultSettings.LoudAt {
			break
		}
		authors = append(authors, g.ID(i))
	}
	return authors
}
