package memory

import (
	"context"
	"math/rand/v2"
	"time"

	"skein/feed"
	"skein/timeline"
)

const (
	// batchSize bounds the pairs that are grouped at once.
	batchSize = 8192

	// ahead is how many timelines are loaded before they are written to.
	ahead = 32

	// lately: who read within this time is served before the others (F6).
	lately = 5 * time.Minute
)

// pair is one post for one viewer.
type pair struct {
	viewer feed.UserID
	post   feed.PostID
}

// batch is pairs grouped by stripe. It is used again and again, so a delivery
// allocates only where a timeline grows.
type batch struct {
	groups [stripes][]pair
	size   int
}

// Deliver writes posts into the timelines of their viewers. It takes the lock of
// a stripe at most twice for 8,192 pairs: all stripes serve their recent readers
// first, then the others. It begins at a stripe drawn for each batch, so nobody
// is always last (F6).
func (s *Store) Deliver(_ context.Context, deliveries []timeline.Delivery) (timeline.Outcome, error) {
	var out timeline.Outcome
	if err := s.check("deliver posts"); err != nil {
		return out, err
	}
	b := s.batches.Get().(*batch)
	defer s.batches.Put(b)
	s.deliverAll(b, deliveries, &out)
	s.evict(0)
	return out, nil
}

// deliverAll delivers by way of b, which it leaves empty.
func (s *Store) deliverAll(b *batch, deliveries []timeline.Delivery, out *timeline.Outcome) {
	for _, d := range deliveries {
		for viewers := d.Viewers; len(viewers) > 0; {
			n := min(len(viewers), batchSize-b.size)
			b.add(d.Post, viewers[:n])
			viewers = viewers[n:]
			if b.size == batchSize {
				s.flush(b, out)
			}
		}
	}
	s.flush(b, out)
}

func (b *batch) add(post feed.PostID, viewers []feed.UserID) {
	for _, v := range viewers {
		n := stripeOf(v)
		b.groups[n] = append(b.groups[n], pair{viewer: v, post: post})
	}
	b.size += len(viewers)
}

// flush delivers a batch and empties it.
func (s *Store) flush(b *batch, out *timeline.Outcome) {
	start := rand.IntN(stripes)
	for _, window := range [...]time.Duration{lately, 0} {
		for i := range b.groups {
			n := (start + i) % stripes
			if len(b.groups[n]) > 0 {
				b.groups[n] = s.deliver(&s.stripes[n], b.groups[n], window, out)
			}
		}
	}
	b.size = 0
}

// deliver writes the pairs of one stripe whose viewers read within window, where
// 0 means ever. It returns the pairs of the others, in the memory of pairs.
//
// Nearly all its time goes into waiting for memory: a viewer's slot, then the
// newest entries of that timeline, all cold. So it looks up a block of viewers and
// loads what it needs of them, which the processor does side by side, before it
// inserts.
func (s *Store) deliver(st *stripe, pairs []pair, window time.Duration, out *timeline.Outcome) []pair {
	now := s.enter(st)
	defer s.leave(st)
	rest := pairs[:0]
	var slots [ahead]*slot
	for len(pairs) > 0 {
		block := pairs[:min(ahead, len(pairs))]
		pairs = pairs[len(block):]
		for i, p := range block {
			slots[i] = st.find(p.viewer)
		}
		st.load(slots[:len(block)])
		for i, p := range block {
			sl := slots[i]
			switch {
			case sl == nil:
				out.Misses++
			case window > 0 && now-sl.read > int64(window):
				rest = append(rest, p)
			case st.insert(sl, p.post, s.limits):
				out.Entries++
			default:
				out.Repeats++
			}
		}
	}
	return rest
}

// load brings close to the processor what an insertion looks at: of each slot that is
// not nil, what lies in it, and its newest entries, two cache lines of them. All slots
// are asked for before the first entry is.
func (st *stripe) load(slots []*slot) {
	var newest, before [ahead]*timeline.Entry
	loaded := st.mu.loaded
	for i, sl := range slots {
		if sl != nil && len(sl.entries) > 0 {
			last := len(sl.entries) - 1
			newest[i], before[i] = &sl.entries[last], &sl.entries[max(0, last-near/2)]
			loaded ^= timeline.Entry(sl.Bottom) ^ timeline.Entry(sl.read)
		}
	}
	for i, e := range newest {
		if e != nil {
			loaded ^= *e ^ *before[i]
		}
	}
	st.mu.loaded = loaded
}

// insert adds a pushed post to sl and reports whether it was new.
func (st *stripe) insert(sl *slot, post feed.PostID, l limits) bool {
	r, bottom, added := l.insert(sl.entries, sl.Bottom, post)
	st.setEntries(sl, r, bottom)
	return added
}
