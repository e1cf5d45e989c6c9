package graph

import (
	"math"
	"slices"
)

const (
	// leastCut is the least value at which a tail may begin: below it the
	// continuous approximation is off by more than a percent.
	leastCut = 6
	// leastTail is how many values a tail must have; of fewer, the estimate is
	// mostly noise.
	leastTail = 50
	// mostCuts bounds how many beginnings are tried. Of more distinct values
	// some are tried, evenly by magnitude.
	mostCuts = 1000
)

// Tail is a power law fitted to the largest of some counts: of those from Cut
// on, the share that equals x falls like x^-Exponent.
type Tail struct {
	Exponent float64
	// Error is the standard error of Exponent, given Cut.
	Error float64
	Cut   int
	// Count is how many values are in the tail.
	Count int
	// Distance is Kolmogorov's and Smirnov's: the largest difference between
	// the distribution functions of the values and of the power law, 0 to 1.
	Distance float64
}

// FitTail fits a power law to the tail of counts, which must be ascending; nil
// if less than 50 of them are in any tail, or all those are equal. It does not
// say whether a power law fits well, only which one fits best.
//
// The exponent is the maximum likelihood estimate for discrete data by the
// continuous approximation, and the tail begins where the distance is least:
// Clauset, Shalizi, Newman, "Power-law distributions in empirical data", SIAM
// Review 51 (2009), equations 3.7 and 3.9 and section 3.3.
func FitTail(counts []int) *Tail {
	v := distinct(counts)
	var best *Tail
	for _, i := range v.cuts() {
		if t := v.fit(i); t != nil && (best == nil || t.Distance < best.Distance) {
			best = t
		}
	}
	return best
}

// values are distinct ones, ascending, with what is needed of those at least as
// large.
type values struct {
	at   []float64
	from []int     // how many values are at least so large
	logs []float64 // the sum of their logarithms
}

// distinct values of counts from leastCut on.
func distinct(counts []int) values {
	var v values
	for i := len(counts) - 1; i >= 0 && counts[i] >= leastCut; i-- {
		x := float64(counts[i])
		last := len(v.at) - 1
		switch {
		case last >= 0 && v.at[last] == x:
			v.from[last]++
			v.logs[last] += math.Log(x)
		case last >= 0:
			v.at, v.from, v.logs = append(v.at, x), append(v.from, v.from[last]+1), append(v.logs, v.logs[last]+math.Log(x))
		default:
			v.at, v.from, v.logs = []float64{x}, []int{1}, []float64{math.Log(x)}
		}
	}
	slices.Reverse(v.at)
	slices.Reverse(v.from)
	slices.Reverse(v.logs)
	return v
}

// cuts are positions at which the tail may begin.
func (v values) cuts() []int {
	var cuts []int
	if len(v.at) == 0 {
		return nil
	}
	// Successive cuts lie at least this factor apart, if they are too many.
	factor := 0.0
	if len(v.at) > mostCuts {
		factor = math.Pow(v.at[len(v.at)-1]/v.at[0], 1.0/mostCuts)
	}
	next := 0.0
	for i, x := range v.at {
		if x >= next {
			cuts = append(cuts, i)
			next = x * factor
		}
	}
	return cuts
}

// fit is the power law of the values from position i on; nil if these are too
// few or all the same.
func (v values) fit(i int) *Tail {
	n := float64(v.from[i])
	if v.from[i] < leastTail || i == len(v.at)-1 {
		return nil
	}
	least := v.at[i] - 0.5
	// The sum of the logarithms of x/least.
	exponent := 1 + n/(v.logs[i]-n*math.Log(least))
	t := &Tail{Exponent: exponent, Error: (exponent - 1) / math.Sqrt(n), Cut: int(v.at[i]), Count: v.from[i]}
	for k := i; k < len(v.at); k++ {
		// The share of the tail that is at least so large, and what it would be
		// by equation 3.9, a whole number standing for half a one to either side.
		is := float64(v.from[k]) / n
		would := math.Pow((v.at[k]-0.5)/least, 1-exponent)
		t.Distance = max(t.Distance, math.Abs(is-would))
		// Up to the next value the share stays, but the law falls: it differs
		// most at either end.
		share := 0.0
		if k+1 < len(v.at) {
			share = float64(v.from[k+1]) / n
		}
		above := math.Pow((v.at[k]+0.5)/least, 1-exponent)
		t.Distance = max(t.Distance, math.Abs(share-above))
	}
	return t
}
