package graph

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// law is a discrete power law from cut to a million: the sums of x^-exponent,
// not the approximation that FitTail makes.
func law(exponent float64, cut int) []float64 {
	reach := make([]float64, 1_000_000-cut)
	sum := 0.0
	for i := range reach {
		sum += math.Pow(float64(cut+i), -exponent)
		reach[i] = sum
	}
	return reach
}

// drawn are n counts: half of them spread evenly below cut, half drawn from the
// law by inverting its distribution function.
func drawn(rng *rand.Rand, n int, reach []float64, cut int) []int {
	counts := make([]int, n)
	for i := range counts {
		if i%2 == 0 {
			counts[i] = rng.IntN(cut)
			continue
		}
		at, _ := slices.BinarySearch(reach, rng.Float64()*reach[len(reach)-1])
		counts[i] = cut + min(at, len(reach)-1)
	}
	slices.Sort(counts)
	return counts
}

// The exponent of a drawn power law is found within 0.1, and where it begins
// within a factor of 3, whatever lies below.
func TestFitTailFindsTheExponent(t *testing.T) {
	for _, exponent := range []float64{1.8, 2.276, 2.5, 3, 3.5} {
		const cut = 20
		reach := law(exponent, cut)
		for seed := range uint64(5) {
			counts := drawn(rand.New(rand.NewPCG(seed, 0)), 20_000, reach, cut)
			tail := FitTail(counts)
			if tail == nil {
				t.Fatalf("exponent %g, seed %d: no tail", exponent, seed)
			}
			if math.Abs(tail.Exponent-exponent) > 0.1 {
				t.Errorf("exponent %g, seed %d: found %+v", exponent, seed, *tail)
			}
			if tail.Cut < cut/3 || tail.Cut > cut*3 || tail.Distance > 0.02 {
				t.Errorf("exponent %g, seed %d: it begins at %d: %+v", exponent, seed, cut, *tail)
			}
			if off := math.Abs(tail.Exponent - exponent); off > 6*tail.Error {
				t.Errorf("exponent %g, seed %d: off by %g, its error is said to be %g", exponent, seed, off, tail.Error)
			}
		}
	}
}

// By hand: all 100 values are 9 or 10, the tail from 9 on, since from 10 on all
// are equal.
func TestFitTailByHand(t *testing.T) {
	var counts []int
	for i := range 100 {
		counts = append(counts, 9+i%2)
	}
	slices.Sort(counts)
	tail := FitTail(counts)
	if tail == nil {
		t.Fatal("no tail")
	}
	exponent := 1 + 100/(50*math.Log(9/8.5)+50*math.Log(10/8.5))
	atTen := math.Pow(9.5/8.5, 1-exponent)   // the share from 10 on; it is a half
	beyond := math.Pow(10.5/8.5, 1-exponent) // above 10, where there is nothing
	distance := max(math.Abs(0.5-atTen), beyond)
	if math.Abs(tail.Exponent-exponent) > 1e-9 || math.Abs(tail.Distance-distance) > 1e-9 || tail.Cut != 9 || tail.Count != 100 {
		t.Errorf("found %+v, want exponent %g, distance %g", *tail, exponent, distance)
	}
}

// Counts that are no power law are far from the one that fits best.
func TestFitTailTellsABadFit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	counts := make([]int, 10_000)
	for i := range counts { // two heaps
		counts[i] = []int{100, 10_000}[i%2] + rng.IntN(50)
	}
	slices.Sort(counts)
	if tail := FitTail(counts); tail == nil || tail.Distance < 0.05 {
		t.Errorf("found %+v, want a distance of 0.05 or more", tail)
	}
}

// Too few to tell: nothing, or all the same, or all small.
func TestFitTailOfTooFew(t *testing.T) {
	few := make([]int, leastTail-1)
	for i := range few {
		few[i] = 10 + i
	}
	small := slices.Repeat([]int{1, 2, 3, 4, 5}, 1000)
	slices.Sort(small)
	for name, counts := range map[string][]int{
		"none": nil, "49": few, "equal": slices.Repeat([]int{40}, 1000), "small": small, "zeros": make([]int, 1000),
	} {
		if tail := FitTail(counts); tail != nil {
			t.Errorf("%s: found %+v", name, *tail)
		}
	}
}

// However many distinct values there are, the cuts stay few and span them all.
func TestCutsAreBounded(t *testing.T) {
	counts := make([]int, 300_000)
	for i := range counts {
		counts[i] = leastCut + i
	}
	v := distinct(counts)
	cuts := v.cuts()
	if len(cuts) > mostCuts+1 || len(cuts) < mostCuts/2 || cuts[0] != 0 || v.at[cuts[len(cuts)-1]] < 290_000 {
		t.Errorf("%d cuts from %g to %g", len(cuts), v.at[cuts[0]], v.at[cuts[len(cuts)-1]])
	}
}
