package memory

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"unsafe"

	"skein/feed"
	"skein/timeline"
)

var _ timeline.Store = (*Store)(nil)

var errClosed = errors.New("the timeline store is closed")

// Store is a timeline.Store in memory. It is safe for concurrent use. After
// Close its calls fail with feed.CodeUnavailable.
type Store struct {
	opts    Options
	limits  limits
	stripes [stripes]stripe
	deletes deleteLog
	batches sync.Pool // of *batch

	// serial is the last number given, as a build token or as Acts.
	serial atomic.Uint64
	// bytes sums what the stripes count.
	bytes  atomic.Int64
	closed atomic.Bool
}

// New returns an empty store. Options out of bounds are taken as the nearest
// bound; call Options.Validate to refuse them.
func New(opts Options) *Store {
	s := &Store{opts: opts.settled()}
	s.limits = limitsOf(s.opts.Cap)
	s.batches.New = func() any { return new(batch) }
	s.bytes.Store(int64(unsafe.Sizeof(*s)))
	for i := range s.stripes {
		s.bytes.Add(s.stripes[i].init())
	}
	return s
}

// enter locks a stripe and frees what has expired in it. It returns the time,
// which is not before any reading in the stripe. Call leave.
func (s *Store) enter(st *stripe) (now int64) {
	st.mu.Lock()
	slots := st.mu.slots
	now = max(s.opts.Clock().UnixNano(), slots[slots[0].older].read)
	if s.opts.Idle == 0 {
		return now
	}
	for {
		sl := &slots[slots[0].newer]
		if sl == &slots[0] || now-sl.read <= int64(s.opts.Idle) {
			return now
		}
		st.release(sl.viewer)
		st.mu.expired++
	}
}

// leave makes known what changed in a stripe and unlocks it.
func (s *Store) leave(st *stripe) {
	if now := st.bytes(); now != st.mu.counted {
		s.bytes.Add(now - st.mu.counted)
		st.mu.counted = now
	}
	coldest := int64(never)
	if n := st.mu.slots[0].newer; n != 0 {
		coldest = st.mu.slots[n].read
	}
	if st.coldest.Load() != coldest {
		st.coldest.Store(coldest)
	}
	st.mu.Unlock()
}

// check fails once the store is closed.
func (s *Store) check(doing string) error {
	if s.closed.Load() {
		return feed.Unavailable(doing, errClosed)
	}
	return nil
}

// Mark is always the same: nothing is lost.
func (s *Store) Mark() timeline.Mark { return 0 }

// Barrier returns at once: a delivery is never safer than when it is made, as
// what loses it loses the whole timeline with it.
func (s *Store) Barrier(context.Context, timeline.Mark) error { return s.check("secure deliveries") }

// Shard is 0: the process fails as a whole.
func (s *Store) Shard(feed.UserID) int { return 0 }

// Shards is 1.
func (s *Store) Shards() int { return 1 }

// Stats describes the store. It visits the stripes one after another, so it is
// not of one instant.
func (s *Store) Stats(context.Context) (timeline.Stats, error) {
	var sum timeline.Stats
	if err := s.check("describe the timelines"); err != nil {
		return sum, err
	}
	for i := range s.stripes {
		st := &s.stripes[i]
		s.enter(st)
		sum.Live += st.mu.states[timeline.Live]
		sum.Building += st.mu.states[timeline.Building]
		sum.Entries += st.mu.entries
		sum.Evicted += st.mu.evicted
		sum.Expired += st.mu.expired
		s.leave(st)
	}
	sum.Bytes = s.bytes.Load()
	return sum, nil
}

// Close ends the store. Closing it again is no error.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}
