package memory

import "skein/feed"

// evict frees the timelines not read for longest until all fits into MaxBytes;
// never keep's, which its caller has just written. It is called without locks.
//
// It evicts from the stripe whose coldest timeline is the coldest of all, so the
// limit holds for the store and the order is by reading across stripes, up to
// what happens while it looks. A budget for each stripe would need no look at
// the others, but would leave most of the memory unused when ids are not spread
// evenly over the stripes.
//
// It ends: each turn frees a timeline, or finds a stripe with none to give.
func (s *Store) evict(keep feed.UserID) {
	var skip *stripe // has nothing to give, or only keep
	for s.opts.MaxBytes > 0 && s.bytes.Load() > s.opts.MaxBytes {
		st := s.coldest(skip)
		if st == nil {
			return
		}
		if !s.evictFrom(st, keep) {
			skip = st
		}
	}
}

// coldest returns the stripe with the timeline not read for longest, but not
// skip; nil when there are no timelines.
func (s *Store) coldest(skip *stripe) *stripe {
	var found *stripe
	least := int64(never)
	for i := range s.stripes {
		st := &s.stripes[i]
		if at := st.coldest.Load(); at < least && st != skip {
			found, least = st, at
		}
	}
	return found
}

// evictFrom frees the timeline of st that was not read for longest, unless it is
// keep's: then the next. It reports whether there was one.
func (s *Store) evictFrom(st *stripe, keep feed.UserID) bool {
	s.enter(st)
	defer s.leave(st)
	slots := st.mu.slots
	n := slots[0].newer
	if n != 0 && slots[n].viewer == keep {
		n = slots[n].newer
	}
	if n == 0 {
		return false
	}
	st.release(slots[n].viewer)
	st.mu.evicted++
	return true
}
