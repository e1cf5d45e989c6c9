package graph

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// By hand: 1 is followed by all others, who follow nobody else but 2, who
// follows 3 too.
func TestDegreesByHand(t *testing.T) {
	g, _, err := Read(strings.NewReader("2 1\n3 1\n4 1\n5 1\n2 3\n"), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	followers, followed := g.Followers(), g.Followed()
	if want := []int{0, 0, 0, 4, 4, 4, 4}; !slices.Equal(followers.Quantiles, want) || followers.Mean != 1 {
		t.Errorf("followers: %+v, want %v and a mean of 1", followers, want)
	}
	if want := []int{0, 0, 1, 2, 2, 2, 2}; !slices.Equal(followed.Quantiles, want) || followed.Mean != 1 {
		t.Errorf("followed: %+v, want %v and a mean of 1", followed, want)
	}
	if followers.Tail != nil || followed.Tail != nil {
		t.Error("five users have a tail")
	}
}

// The nearest rank, where a share of the users is a whole number and where it is
// not.
func TestQuantiles(t *testing.T) {
	for n, want := range map[int][]int{
		10:   {1, 1, 5, 9, 10, 10, 10},
		1000: {1, 100, 500, 900, 990, 999, 1000},
	} {
		counts := make([]int, n)
		for i := range counts {
			counts[i] = n - i
		}
		if d := degrees(counts); !slices.Equal(d.Quantiles, want) {
			t.Errorf("of 1 to %d: %v, want %v", n, d.Quantiles, want)
		}
	}
}

// The synthetic graph's follows fall as it says they do: its exponent is that of
// the distribution function, one less than the density's.
func TestSynthesizedTail(t *testing.T) {
	tail := mustSynthesize(t, demo).Followed().Tail
	if tail == nil || math.Abs(tail.Exponent-(followsExponent+1)) > 0.1 {
		t.Errorf("found %+v, want an exponent of %g within 0.1", tail, followsExponent+1)
	}
}
