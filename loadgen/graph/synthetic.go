package graph

import (
	"math"
	"math/rand/v2"
	"slices"

	"skein/feed"
)

// Synthetic describes a graph to draw.
type Synthetic struct {
	// Users, at least 8; their ids are 1 to Users.
	Users int
	// Follows in all, between one and a quarter of all others per user, the
	// follows of celebrities not counted. The graph has about as many.
	Follows int64
	// Celebrities: how many users, up to half of them, are celebrities.
	Celebrities int
	// CelebrityShare of all users follow each celebrity, about: above 0, at
	// most 1. Ignored without celebrities.
	CelebrityShare float64
	// Seed: the same seed gives the same graph, on one kind of processor;
	// another may round the odd follow to a neighbour.
	Seed uint64
}

const (
	// followsExponent is that of the distribution function of follows per user
	// on Twitter (Kwak et al., WWW 2010). With 40 follows on average, it gives
	// one user in 150 more than 200, and nobody less than 20.
	followsExponent = 2.276

	// A user's chance to be followed is that of the twip workload (Kate et al.,
	// "Easy Freshness with Pequod Cache Joins", NSDI 2014): 10 + F·(rank/n)^55.
	// Its tail falls like 1 - log(followers), slower than a power law, up to
	// the most popular.
	baseWeight    = 10
	tailExponent  = 55
	maxTailWeight = 1680 // F: a quarter of the follows spread evenly, the rest in the tail
)

// Synthesize draws a graph. Everybody follows somebody and is followed by
// somebody; popularity, reading and ids do not correlate. The celebrities are
// the users with the most followers, as long as about 100 users follow each; no
// other user has more than about half as many. A description outside its bounds
// is an error of feed.CodeInvalid that names the fields.
//
// Time is about 100 ns a follow; memory is the graph's and 24 bytes a user.
func Synthesize(s Synthetic) (*Graph, error) {
	if s.Celebrities == 0 {
		s.CelebrityShare = 0
	}
	if wrong := s.violations(); len(wrong) > 0 {
		return nil, feed.Invalid(wrong...)
	}
	d := newDrawing(s)
	ids := make([]feed.UserID, s.Users)
	rows := make([]int64, s.Users+1)
	authors := make([]uint32, 0, s.Follows+s.Follows/50)
	for i := range ids {
		ids[i] = feed.UserID(i + 1)
		authors = d.row(authors, uint32(i))
		rows[i+1] = int64(len(authors))
	}
	return newGraph(ids, rows, authors), nil
}

// drawing is a graph being drawn.
type drawing struct {
	Synthetic
	random *rand.Rand

	byRank   []uint32 // users by rising popularity, the celebrities last
	ordinary int      // how many of them are not celebrities
	tail     float64  // the share of follows that go by the tail of the weights
	own      []uint32 // follows of each user, those of celebrities not counted
	next     []uint32 // a ring of all users: everybody follows the next
	seen     []uint32 // seen[author] == i+1: user i follows author already
}

func newDrawing(s Synthetic) *drawing {
	d := &drawing{
		Synthetic: s,
		random:    rand.New(rand.NewPCG(s.Seed, 0)),
		ordinary:  s.Users - s.Celebrities,
		next:      make([]uint32, s.Users),
		seen:      make([]uint32, s.Users),
	}
	d.byRank = d.shuffled()
	d.own = ownFollows(s.Users, s.ownMean(), d.ordinary/2)
	d.random.Shuffle(s.Users, func(i, j int) { d.own[i], d.own[j] = d.own[j], d.own[i] })
	ring := d.shuffled()
	for i, user := range ring {
		d.next[user] = ring[(i+1)%len(ring)]
	}
	f := d.tailWeight() / (tailExponent + 1) // the mean of the tail
	d.tail = f / (baseWeight + f)
	return d
}

func (d *drawing) shuffled() []uint32 {
	list := make([]uint32, d.Users)
	for i := range list {
		list[i] = uint32(i)
	}
	d.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// ownMean is how many ordinary users a user follows, on average.
func (s Synthetic) ownMean() float64 {
	return float64(s.Follows)/float64(s.Users) - float64(s.Celebrities)*s.CelebrityShare
}

// tailWeight is F, lowered if the most popular ordinary user would have more
// than half the followers of a celebrity, or follow counts above a quarter of
// all users: (10+F)/(10+F/56) is by how much that user exceeds the mean.
func (d *drawing) tailWeight() float64 {
	most := float64(d.Users) / 4
	if d.Celebrities > 0 {
		most = d.CelebrityShare * float64(d.Users) / 2
	}
	excess := max(most/d.ownMean(), 1)
	if excess >= tailExponent+1 {
		return maxTailWeight
	}
	return min(maxTailWeight, baseWeight*(excess-1)/(1-excess/(tailExponent+1)))
}

// ownFollows are n numbers from 1 to most with the given mean, falling as the
// quantiles of a Pareto distribution do: drawn evenly, not at random, so that
// the sum is what was asked for.
func ownFollows(n int, mean float64, most int) []uint32 {
	quantiles := make([]float64, n)
	for i := range quantiles {
		quantiles[i] = math.Pow((float64(i)+0.5)/float64(n), -1/followsExponent)
	}
	follows := make([]uint32, n)
	low, high := 0.0, float64(most)
	for range 40 { // bisect for the least number of follows
		least := (low + high) / 2
		sum := 0.0
		for i, q := range quantiles {
			follows[i] = uint32(min(max(math.Round(least*q), 1), float64(most)))
			sum += float64(follows[i])
		}
		if sum < mean*float64(n) {
			low = least
		} else {
			high = least
		}
	}
	return follows
}

// row appends the authors whom user i follows, ascending.
func (d *drawing) row(authors []uint32, i uint32) []uint32 {
	start := len(authors)
	d.seen[i] = i + 1 // never oneself
	follow := func(author uint32) {
		if d.seen[author] != i+1 {
			d.seen[author] = i + 1
			authors = append(authors, author)
		}
	}
	if d.Celebrities > 0 {
		// Distances between independent coin flips that fall on follow are
		// geometric, so that the cost is in the follows, not in the celebrities.
		fails := math.Log1p(-d.CelebrityShare)
		for c := -1.0; ; {
			c += 1 + math.Floor(-d.random.ExpFloat64()/fails)
			if c >= float64(d.Celebrities) {
				break
			}
			follow(d.byRank[d.ordinary+int(c)])
		}
	}
	follow(d.next[i])
	// At most half of the ordinary users are wanted, and half of them have at
	// least an eighth of the weight: this ends, on average within 8 draws a
	// follow at the very worst, usually within little more than one.
	for end := len(authors) + int(d.own[i]) - 1; len(authors) < end; {
		follow(d.byRank[d.rank()])
	}
	slices.Sort(authors[start:])
	return authors
}

// rank draws an ordinary user's rank by the inverse of the distribution
// function: that of x^55 is x^56, whose inverse is the 56th root.
func (d *drawing) rank() int {
	if d.random.Float64() >= d.tail {
		return d.random.IntN(d.ordinary)
	}
	root := math.Exp(-d.random.ExpFloat64() / (tailExponent + 1))
	return min(int(root*float64(d.ordinary)), d.ordinary-1)
}
