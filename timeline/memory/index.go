package memory

import "unsafe"

const (
	pageShift = 10
	pageSize  = 1 << pageShift

	// denseKeys bounds the keys that are looked up by page: with 64 stripes,
	// those of viewers below 2^31. It bounds the directories of all stripes to
	// 32 MB, however sparse the ids.
	denseKeys = 1 << (31 - stripeShift)

	// sparseBytes is about what one key costs in the map.
	sparseBytes = 48
)

// index leads from a viewer's key to its slot number; 0 is none. Keys below
// denseKeys are found by two array accesses, others in a map. A page lives as
// long as it is in use.
type index struct {
	pages  []page
	inUse  int64 // pages in use
	sparse map[uint64]uint32
}

type page struct {
	slots *[pageSize]uint32
	used  int // slots that are not 0
}

func (x *index) get(key uint64) uint32 {
	if key >= denseKeys {
		return x.sparse[key]
	}
	n := key >> pageShift
	if n >= uint64(len(x.pages)) || x.pages[n].slots == nil {
		return 0
	}
	return x.pages[n].slots[key&(pageSize-1)]
}

// put adds a key that has no slot yet.
func (x *index) put(key uint64, slot uint32) {
	if key >= denseKeys {
		if x.sparse == nil {
			x.sparse = make(map[uint64]uint32)
		}
		x.sparse[key] = slot
		return
	}
	n := int(key >> pageShift)
	if n >= len(x.pages) {
		x.pages = append(x.pages, make([]page, n+1-len(x.pages))...)
	}
	p := &x.pages[n]
	if p.slots == nil {
		p.slots = new([pageSize]uint32)
		x.inUse++
	}
	p.slots[key&(pageSize-1)] = slot
	p.used++
}

// remove takes away a key that has a slot.
func (x *index) remove(key uint64) {
	if key >= denseKeys {
		delete(x.sparse, key)
		return
	}
	p := &x.pages[key>>pageShift]
	p.slots[key&(pageSize-1)] = 0
	p.used--
	if p.used == 0 {
		p.slots = nil
		x.inUse--
	}
}

// bytes is the memory of the index; for the map, about.
func (x *index) bytes() int64 {
	return int64(cap(x.pages))*int64(unsafe.Sizeof(page{})) +
		x.inUse*pageSize*4 +
		int64(len(x.sparse))*sparseBytes
}
