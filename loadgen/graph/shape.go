package graph

import (
	"math"
	"slices"
)

// Degrees sum up how many follows users have, in one direction.
type Degrees struct {
	Mean float64
	// Quantiles, one for each of Shares: that share of the users has at most so
	// many.
	Quantiles []int
	// Tail is nil if too few users are in it to tell.
	Tail *Tail
}

// Shares are those whose quantiles Degrees have; the first is the least user,
// the last the greatest.
var Shares = [...]float64{0, 0.1, 0.5, 0.9, 0.99, 0.999, 1}

// Followers is how many follow each user.
func (g *Graph) Followers() Degrees {
	counts := make([]int, g.Users())
	for i := range counts {
		counts[i] = g.FollowerCount(uint32(i))
	}
	return degrees(counts)
}

// Followed is how many each user follows.
func (g *Graph) Followed() Degrees {
	counts := make([]int, g.Users())
	for i := range counts {
		counts[i] = len(g.Following(uint32(i)))
	}
	return degrees(counts)
}

// degrees takes over counts, which must not be empty.
func degrees(counts []int) Degrees {
	slices.Sort(counts)
	sum := 0.0
	for _, n := range counts {
		sum += float64(n)
	}
	d := Degrees{Mean: sum / float64(len(counts)), Tail: FitTail(counts)}
	for _, share := range Shares {
		rank := int(math.Ceil(share*float64(len(counts)) - 1e-9)) // nearest rank; 0.1 is not quite a tenth
		d.Quantiles = append(d.Quantiles, counts[max(rank, 1)-1])
	}
	return d
}
