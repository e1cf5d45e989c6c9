package server

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"

	"skein/feed"
	"skein/storage"
)

const (
	// recentPosts is how many posts of a loud author are kept at hand.
	recentPosts = 256
	// maxRecent bounds the loud authors kept at hand.
	maxRecent = 4096
	// recentTime is how long loading them may take.
	recentTime = 2 * time.Second
)

// recent is the newest posts of one author, complete from floor on.
type recent struct {
	ids   []feed.PostID // newest first
	floor feed.PostID
	asked time.Time // when storage was asked: the list is at least as new
}

// recentCache holds the recent posts of loud authors: the hottest keys of all,
// asked for by every one of their followers. A list is loaded once however many
// ask, and is at most copyLife old, or as old as its load took, which the lag
// bound allows; what may not be late (the viewer's own posts, deletes) does not rely
// on it.
type recentCache struct {
	posts   storage.Posts
	clock   feed.Clock
	metrics *metrics
	cache   *otter.Cache[feed.UserID, *recent]
}

func newRecentCache(posts storage.Posts, clock feed.Clock, m *metrics) *recentCache {
	// The life of a copy counts from when it was asked for, however long the
	// answer took.
	life := func(e otter.Entry[feed.UserID, *recent]) time.Duration {
		return max(copyLife-clock().Sub(e.Value.asked), 1)
	}
	return &recentCache{
		posts: posts, clock: clock, metrics: m,
		cache: otter.Must(&otter.Options[feed.UserID, *recent]{
			MaximumSize:      maxRecent,
			Clock:            cacheClock{clock, clock()},
			ExpiryCalculator: otter.ExpiryWritingFunc(life),
		}),
	}
}

// cacheClock is a cache's view of our clock: the time since it began, which does not
// jump when the machine's clock is set. It does not tick: lists that nobody asks for
// leave when others need their place.
type cacheClock struct {
	clock feed.Clock
	began time.Time
}

func (c cacheClock) NowNano() int64                      { return int64(c.clock().Sub(c.began)) }
func (c cacheClock) Tick(time.Duration) <-chan time.Time { return nil }

func (c *recentCache) close() { c.cache.StopAllGoroutines() }

func (c *recentCache) get(ctx context.Context, author feed.UserID) (*recent, error) {
	c.metrics.recentReads.Inc()
	return c.cache.Get(ctx, author, otter.LoaderFunc[feed.UserID, *recent](c.load))
}

// load goes on when the reader who began it leaves, since others wait for it.
func (c *recentCache) load(ctx context.Context, author feed.UserID) (*recent, error) {
	c.metrics.recentLoads.Inc()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recentTime)
	defer cancel()
	r := &recent{asked: c.clock()}
	refs, err := c.posts.Newest(ctx, []storage.Range{{Author: author, Before: feed.MaxPostID}}, recentPosts)
	if err != nil {
		return nil, err
	}
	r.ids = make([]feed.PostID, len(refs))
	for i, ref := range refs {
		r.ids[i] = ref.Post
	}
	if len(refs) == recentPosts {
		r.floor = refs[recentPosts-1].Post
	}
	return r, nil
}
