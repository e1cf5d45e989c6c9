package rows

import (
	"context"
	"sync"
	"time"

	"skein/feed"
	"skein/timeline"
)

// watched is a timeline store that tells when deliveries are done. When Deliver
// returns, its entries can be read: that is the moment that counts. It adds one
// lock to a call that writes thousands of entries.
type watched struct {
	timeline.Store

	mu struct {
		sync.Mutex
		// made counts deliveries, those that were repeats or misses included,
		// since the last expect; entries only what was appended.
		made, entries, goal int64
		reached             chan time.Time
		// posts holds when each post was last delivered; nil unless followed.
		posts map[feed.PostID]time.Time
	}
}

// Deliver implements timeline.Store.
func (w *watched) Deliver(ctx context.Context, deliveries []timeline.Delivery) (timeline.Outcome, error) {
	outcome, err := w.Store.Deliver(ctx, deliveries)
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.mu.made
	w.mu.made += outcome.Entries + outcome.Repeats + outcome.Misses
	w.mu.entries += outcome.Entries
	if before < w.mu.goal && w.mu.made >= w.mu.goal {
		w.mu.reached <- now
	}
	if w.mu.posts != nil {
		for _, d := range deliveries {
			w.mu.posts[d.Post] = now
		}
	}
	return outcome, err
}

// expect counts from zero, and returns a channel that gets the moment at which
// goal deliveries are made.
func (w *watched) expect(goal int64) <-chan time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.made, w.mu.entries, w.mu.goal = 0, 0, goal
	w.mu.reached = make(chan time.Time, 1)
	return w.mu.reached
}

// appended is how many entries were appended since expect.
func (w *watched) appended() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.entries
}

// follow begins to remember when each post was delivered.
func (w *watched) follow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.posts = map[feed.PostID]time.Time{}
}

// at is when the last delivery of a post was made; zero if none was.
func (w *watched) at(post feed.PostID) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.posts[post]
}
