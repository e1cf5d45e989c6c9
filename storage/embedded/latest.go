package embedded

import (
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
)

// latest bounds from above the newest post of every author, so that Newest need not
// look where there is nothing: most viewers have written nothing since the oldest post
// of their page, and most authors nothing since delivery fell behind. Authors share
// places by their hash; a bound that is too high costs a look.
type latest [1 << 16]atomic.Int64

func (l *latest) of(author feed.UserID) *atomic.Int64 { return &l[author.Hash()%uint64(len(l))] }

// raise is called before a post becomes visible.
func (l *latest) raise(author feed.UserID, id feed.PostID) {
	bound := l.of(author)
	for old := bound.Load(); old < int64(id) && !bound.CompareAndSwap(old, int64(id)); old = bound.Load() {
	}
}

// none reports whether author has no post from first on.
func (l *latest) none(author feed.UserID, first feed.PostID) bool {
	return int64(first) > l.of(author).Load()
}

// loadLatest bounds all authors by the newest post that there is.
func (s *Store) loadLatest() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tablePosts}, UpperBound: []byte{tablePosts + 1}})
	if err != nil {
		return err
	}
	newest := uint64(0)
	if it.Last() {
		if newest, err = lastNumber(it.Key(), oneNumber); err != nil {
			newest = math.MaxInt64 // who reads that post says what is wrong with it
		}
	}
	for i := range s.latest {
		s.latest[i].Store(int64(newest))
	}
	return it.Close()
}
