package memory

import (
	"cmp"
	"slices"

	"skein/feed"
	"skein/timeline"
)

// A run is the entries of one timeline, rising strictly by id.
type run []timeline.Entry

func byID(a, b timeline.Entry) int { return cmp.Compare(a.ID(), b.ID()) }

// near is how far from the newest entry a search goes step by step: two cache
// lines, which are at hand, where a binary search would touch others first.
const near = 16

// below returns how many entries have an id below id, and whether the next one
// is id itself. It looks at the newest first, where nearly all searches end:
// posts arrive almost in the order of their ids.
func (r run) below(id feed.PostID) (n int, found bool) {
	for n = len(r); n > max(0, len(r)-near); n-- {
		if e := r[n-1].ID(); e <= id {
			if e == id {
				return n - 1, true
			}
			return n, false
		}
	}
	r = r[:n]
	return slices.BinarySearchFunc(r, timeline.Delivered(id), byID)
}

// limits say how long a run may get.
type limits struct {
	keep int // what a cut leaves
	full int // what a cut happens at
}

func limitsOf(keep int) limits { return limits{keep: keep, full: keep + max(keep/16, 1)} }

// room returns an empty run with room for n entries and an eighth more, rounded
// up to what the allocator gives out anyway.
func (l limits) room(n int) run {
	return slices.Grow(run(nil), max(n, min(n+n/8+8, l.full)))
}

// insert adds the entry of a pushed post to r, which holds all above bottom. It
// returns the run and its bottom, which a cut raises, and whether the entry was
// added: else it is there, or lies at or below the bottom.
func (l limits) insert(r run, bottom, post feed.PostID) (run, feed.PostID, bool) {
	if len(r) >= l.full {
		r, bottom = l.cut(r, bottom)
	}
	at, found := r.below(post)
	if found || post <= bottom {
		return r, bottom, false
	}
	if len(r) == cap(r) {
		r = append(l.room(len(r)+1), r...)
	}
	if at == len(r) {
		return append(r, timeline.Delivered(post)), bottom, true
	}
	return slices.Insert(r, at, timeline.Delivered(post)), bottom, true
}

// cut drops the oldest entries of r beyond keep.
func (l limits) cut(r run, bottom feed.PostID) (run, feed.PostID) {
	drop := len(r) - l.keep
	if drop <= 0 {
		return r, bottom
	}
	bottom = r[drop-1].ID()
	return r[:copy(r, r[drop:])], bottom
}

// join returns the newest entries of a and b above bottom, as many as are kept,
// and their bottom, which is raised to the highest one left out. Where both have
// an id, the entry of a stays. Neither is changed; b need not be strict.
func (l limits) join(a, b run, bottom feed.PostID) (run, feed.PostID) {
	most := min(len(a)+len(b), l.keep)
	out := l.room(most)[:most]
	at := most // out[at:] is filled, from its end
	for len(a)+len(b) > 0 {
		var e timeline.Entry
		if len(b) == 0 || len(a) > 0 && a[len(a)-1].ID() >= b[len(b)-1].ID() {
			e, a = a[len(a)-1], a[:len(a)-1]
		} else {
			e, b = b[len(b)-1], b[:len(b)-1]
		}
		if e.ID() <= bottom {
			break
		}
		if at < most && out[at].ID() == e.ID() {
			continue
		}
		if at == 0 {
			bottom = e.ID()
			break
		}
		at--
		out[at] = e
	}
	return out[:copy(out, out[at:])], bottom
}
