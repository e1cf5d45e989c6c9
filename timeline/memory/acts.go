package memory

import (
	"context"
	"sync"
	"sync/atomic"

	"skein/feed"
	"skein/timeline"
)

// Announce makes acts known to every Read that begins after it returned.
//
// Interleavings of a viewer's act with that viewer's timeline: when there is
// none, nothing is noted, and nothing need be. A reader finds it absent, with
// Acts 0, which no copy may bear; or somebody creates it again, with Acts that
// no copy can bear. Both take the lock of the stripe, so a Create is wholly
// before the act, and gets it, or wholly after.
func (s *Store) Announce(_ context.Context, acts ...timeline.Act) error {
	if err := s.check("announce an act"); err != nil {
		return err
	}
	for _, act := range acts {
		s.announce(act)
	}
	return nil
}

func (s *Store) announce(act timeline.Act) {
	if act.Deleted != 0 {
		s.deletes.add(act.Deleted)
	}
	if act.Viewer == 0 {
		return
	}
	st := &s.stripes[stripeOf(act.Viewer)]
	s.enter(st)
	defer s.leave(st)
	if sl := st.find(act.Viewer); sl != nil {
		sl.acts = s.serial.Add(1)
	}
}

// DeletedSince returns the posts deleted after position, in the order of their
// announcement. The last 4,096 are remembered. A position ahead of the store's,
// as of a store before this one, is not known either.
func (s *Store) DeletedSince(_ context.Context, shard int, position uint64) (timeline.Deletes, error) {
	if err := s.check("list deletes"); err != nil || shard != 0 { // there is one shard
		return timeline.Deletes{}, err
	}
	return s.deletes.since(position), nil
}

// deletesKept is how many deletes are remembered.
const deletesKept = 4096

// deleteLog remembers the last deletes. Delete number n (the first is 1) is at
// (n-1) % deletesKept.
type deleteLog struct {
	// count of all deletes; raised under mu when the post is there, so who
	// reads a count finds all that it counts.
	count atomic.Uint64

	mu struct {
		sync.Mutex
		posts [deletesKept]feed.PostID
	}
}

func (l *deleteLog) add(post feed.PostID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.count.Load()
	l.mu.posts[n%deletesKept] = post
	l.count.Store(n + 1)
}

func (l *deleteLog) since(position uint64) timeline.Deletes {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := l.count.Load()
	if count-position > deletesKept { // or position is ahead: the difference wraps
		return timeline.Deletes{}
	}
	posts := make([]feed.PostID, 0, count-position)
	for n := position; n < count; n++ {
		posts = append(posts, l.mu.posts[n%deletesKept])
	}
	return timeline.Deletes{Posts: posts, Known: true}
}
