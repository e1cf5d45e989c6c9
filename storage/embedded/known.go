package embedded

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
)

const (
	knownPage  = 1 << 16 // ids in a page of 8 KiB
	knownPages = 1 << 11 // so ids below 2^27, at most 16 MiB
	knownIDs   = knownPage * knownPages
	// knownScan is how many users Open reads to learn who exists: a moment's
	// work.
	knownScan = 1_000_000
)

// known remembers which users exist, since an import asks it of both ends of
// every edge, and a lookup there was half of its time. Users are never removed,
// so what it knows stays true. It is a bitmap of the small ids, which are dense.
type known struct {
	pages [knownPages]atomic.Pointer[[knownPage / 64]atomic.Uint64]
	// all says that a small id that is not known does not exist.
	all bool
}

// add notes that u exists. The caller holds u's stripe.
func (k *known) add(u feed.UserID) {
	if u < 0 || u >= knownIDs {
		return
	}
	page := &k.pages[u/knownPage]
	if page.Load() == nil {
		page.CompareAndSwap(nil, new([knownPage / 64]atomic.Uint64))
	}
	page.Load()[u%knownPage/64].Or(1 << (u % 64))
}

// has says whether u exists, if it is sure.
func (k *known) has(u feed.UserID) (exists, sure bool) {
	if u < 0 || u >= knownIDs {
		return false, false
	}
	page := k.pages[u/knownPage].Load()
	exists = page != nil && page[u%knownPage/64].Load()&(1<<(u%64)) != 0
	return exists, exists || k.all
}

// loadKnown reads the users, unless they are very many.
func (s *Store) loadKnown() error {
	n := 0
	s.known.all = true
	return s.scan([]byte{tableUsers}, number(tableUsers, feed.UserID(knownIDs)), func(it *pebble.Iterator) (bool, error) {
		u, err := lastNumber(it.Key(), oneNumber)
		s.known.add(feed.UserID(u))
		n++
		s.known.all = n <= knownScan
		return s.known.all, err
	})
}

// userExists asks memory, then the disk. The caller holds u's stripe.
func (s *Store) userExists(u feed.UserID) (bool, error) {
	if exists, sure := s.known.has(u); sure {
		return exists, nil
	}
	return s.has(number(tableUsers, u))
}

// putUser makes u, whose stripe the caller holds. Should the batch not be
// committed, the store has failed, and what it knows matters to nobody.
func (s *Store) putUser(b batch, u feed.UserID, created []byte) {
	s.nextUser.pass(u)
	s.known.add(u)
	b.set(number(tableUsers, u), created)
}
