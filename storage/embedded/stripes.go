package embedded

import (
	"slices"
	"sync"

	"skein/feed"
)

// stripes is a fixed number of locks that many keys share. They guard a read,
// a check and the moment in which a batch becomes visible, never an fsync.
type stripes [256]sync.Mutex

func stripeOf(key uint64) uint8 { return uint8(feed.UserID(key).Hash() >> 56) }

// lock locks key's stripe and returns how to unlock it.
func (s *stripes) lock(key uint64) (unlock func()) {
	m := &s[stripeOf(key)]
	m.Lock()
	return m.Unlock
}

// lockAll locks the stripes of all users, in one order for everybody.
func (s *stripes) lockAll(users []feed.UserID) (unlock func()) {
	var want [len(s)]bool
	for _, u := range users {
		want[stripeOf(uint64(u))] = true
	}
	for i := range want {
		if want[i] {
			s[i].Lock()
		}
	}
	return func() {
		for i := range slices.Backward(want[:]) {
			if want[i] {
				s[i].Unlock()
			}
		}
	}
}
