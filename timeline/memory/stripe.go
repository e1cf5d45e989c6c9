package memory

import (
	"math"
	"sync"
	"sync/atomic"
	"unsafe"

	"skein/feed"
	"skein/timeline"
)

const (
	stripeShift = 6
	stripes     = 1 << stripeShift

	// never is the stamp of a stripe without timelines.
	never = math.MaxInt64
)

// slot holds one timeline, or is free. Slot 0 of a stripe is the anchor of its
// ring; its neighbours are the slots read first and last.
type slot struct {
	timeline.Header
	read    int64 // when it was read last, or created: nanoseconds since 1970
	entries run
	viewer  feed.UserID
	acts    uint64
	begun   int64 // when it was created
	newer   uint32
	older   uint32 // in a free slot, the next free one
	state   timeline.State
}

// stripe is a part of the store with a lock of its own. Enter it by
// Store.enter, which upholds invariant 2.
type stripe struct {
	// coldest is the stamp of the timeline not read for longest, for the
	// choice of whom to evict. Written under mu, read without.
	coldest atomic.Int64

	mu struct {
		sync.Mutex
		index index
		slots []slot
		free  uint32 // first free slot

		room    int64 // entries for which there is room, in all slots
		entries int64
		states  [3]int64 // timelines by state
		evicted int64
		expired int64
		counted int64 // bytes of this stripe that Store.bytes contains

		// loaded is of no meaning; it makes the compiler keep what load does.
		loaded timeline.Entry
	}
}

// init makes an empty stripe and returns its bytes.
func (st *stripe) init() int64 {
	st.mu.slots = make([]slot, 1)
	st.coldest.Store(never)
	st.mu.counted = st.bytes()
	return st.mu.counted
}

// stripeOf and keyOf cut a viewer's id in two: the low bits choose the stripe, so
// that consecutive ids spread, and the rest is dense within it.
func stripeOf(v feed.UserID) int { return int(uint64(v) & (stripes - 1)) }
func keyOf(v feed.UserID) uint64 { return uint64(v) >> stripeShift }

// find returns the slot of a viewer's timeline; nil when there is none. It is
// valid until the next add.
func (st *stripe) find(v feed.UserID) *slot {
	if n := st.mu.index.get(keyOf(v)); n != 0 {
		return &st.mu.slots[n]
	}
	return nil
}

// add makes a timeline for a viewer that has none, read just now.
func (st *stripe) add(v feed.UserID, now int64) *slot {
	n := st.mu.free
	if n != 0 {
		st.mu.free = st.mu.slots[n].older
	} else {
		n = uint32(len(st.mu.slots))
		st.mu.slots = append(st.mu.slots, slot{})
	}
	st.mu.index.put(keyOf(v), n)
	st.mu.slots[n] = slot{viewer: v, read: now, begun: now, state: timeline.Building}
	st.mu.states[timeline.Building]++
	st.link(n)
	return &st.mu.slots[n]
}

// release frees a viewer's timeline and reports whether there was one.
func (st *stripe) release(v feed.UserID) bool {
	n := st.mu.index.get(keyOf(v))
	if n == 0 {
		return false
	}
	sl := &st.mu.slots[n]
	st.unlink(n)
	st.mu.index.remove(keyOf(v))
	st.mu.states[sl.state]--
	st.setEntries(sl, nil, 0)
	*sl = slot{older: st.mu.free}
	st.mu.free = n
	return true
}

// setEntries gives sl another run and bottom, and keeps the counts.
func (st *stripe) setEntries(sl *slot, r run, bottom feed.PostID) {
	st.mu.room += int64(cap(r) - cap(sl.entries))
	st.mu.entries += int64(len(r) - len(sl.entries))
	sl.entries, sl.Bottom = r, bottom
}

// setState moves sl to another state, and keeps the counts.
func (st *stripe) setState(sl *slot, state timeline.State) {
	st.mu.states[sl.state]--
	st.mu.states[state]++
	sl.state = state
}

// touch marks sl as read now.
func (st *stripe) touch(sl *slot, now int64) {
	sl.read = now
	if n := st.mu.index.get(keyOf(sl.viewer)); st.mu.slots[0].older != n {
		st.unlink(n)
		st.link(n)
	}
}

// link puts slot n at the newest end of the ring: before the anchor.
func (st *stripe) link(n uint32) {
	slots := st.mu.slots
	newest := slots[0].older
	slots[n].older, slots[n].newer = newest, 0
	slots[newest].newer, slots[0].older = n, n
}

func (st *stripe) unlink(n uint32) {
	slots := st.mu.slots
	older, newer := slots[n].older, slots[n].newer
	slots[older].newer, slots[newer].older = newer, older
}

// bytes is the memory of the stripe.
func (st *stripe) bytes() int64 {
	return int64(cap(st.mu.slots))*int64(unsafe.Sizeof(slot{})) +
		st.mu.room*int64(unsafe.Sizeof(timeline.Entry(0))) +
		st.mu.index.bytes()
}
