package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
	"skein/timeline"
)

// maxCachedPosts bounds the post cache, in bytes of posts.
const maxCachedPosts = 64 << 20

// postBytes is about what a cached post takes besides its text and payload.
const postBytes = 256

// cachedPost is a post as it is sent; nobody changes it.
type cachedPost struct {
	post   *feedv1.Post
	loaded time.Time // before storage was asked
}

// postCache holds posts shown a moment ago, since a post is on many pages at once.
// A copy lives copyLife at most, and a delete that was announced takes it away
// before the next page is made (T4):
//
//	invariant: no copy here was deleted at or before position upTo of any shard.
//
// A page that saw another position of its shard first applies the deletes between,
// which makes a new edition of the cache. A page that loaded posts puts them here
// only if the edition is still that of before the load: else a delete may have been
// applied, by way of any shard, between its load and now. Deletes of an edition
// before the load are in storage when it is asked.
type postCache struct {
	posts   storage.Posts
	deletes timeline.Store
	clock   feed.Clock
	metrics *metrics
	cache   *otter.Cache[feed.PostID, cachedPost]
	upTo    []atomic.Uint64 // by shard
	edition atomic.Uint64   // how often upTo was changed

	// changing is held by whoever changes cache, upTo and edition, never over I/O.
	changing sync.Mutex
}

func newPostCache(posts storage.Posts, deletes timeline.Store, clock feed.Clock, m *metrics) *postCache {
	return &postCache{
		posts: posts, deletes: deletes, clock: clock, metrics: m,
		upTo: make([]atomic.Uint64, deletes.Shards()),
		cache: otter.Must(&otter.Options[feed.PostID, cachedPost]{
			MaximumWeight: maxCachedPosts,
			Weigher: func(_ feed.PostID, c cachedPost) uint32 {
				return uint32(postBytes + len(c.post.GetText()) + len(c.post.GetPayload()))
			},
		}),
	}
}

// get returns the posts of candidates, nil for those that do not exist, as of the
// position that was read with the viewer's timeline or later. It fails as a whole.
func (c *postCache) get(ctx context.Context, candidates []timeline.Candidate, seen timeline.Position) ([]*feedv1.Post, error) {
	found := make([]*feedv1.Post, len(candidates))
	loaded := c.clock()
	var missing []feed.PostID
	var edition uint64
	usable := seen.Acts != 0
	if usable {
		edition, usable = c.advance(ctx, seen)
	}
	for i, candidate := range candidates {
		if usable {
			if copied, ok := c.cache.GetIfPresent(candidate.Post); ok && loaded.Sub(copied.loaded) < copyLife {
				found[i] = copied.post
				continue
			}
		}
		missing = append(missing, candidate.Post)
	}
	c.metrics.postHits.Add(float64(len(candidates) - len(missing)))
	if len(missing) == 0 {
		return found, nil
	}
	c.metrics.postMisses.Add(float64(len(missing)))
	posts, err := c.posts.GetPosts(ctx, missing)
	if err != nil {
		return nil, err
	}
	fresh := toPosts(posts)
	if usable {
		c.keep(fresh, edition, loaded)
	}
	for i := range found {
		if found[i] == nil && len(fresh) > 0 && feed.PostID(fresh[0].GetId()) == candidates[i].Post {
			found[i], fresh = fresh[0], fresh[1:]
		}
	}
	return found, nil
}

// advance applies the deletes up to a position, and reports whether the cache is
// then as new as that, and in which edition.
func (c *postCache) advance(ctx context.Context, to timeline.Position) (edition uint64, ok bool) {
	edition = c.edition.Load() // before upTo: it may be too old, never too new
	upTo := c.upTo[to.Shard].Load()
	if upTo == to.Deletes {
		return edition, true
	}
	deletes, err := c.deletes.DeletedSince(ctx, to.Shard, upTo)
	if err != nil {
		return 0, false
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.upTo[to.Shard].Load() != upTo {
		return 0, false // somebody else did, perhaps not as far
	}
	if deletes.Known {
		for _, id := range deletes.Posts {
			c.cache.Invalidate(id)
		}
		c.upTo[to.Shard].Store(max(upTo, to.Deletes))
	} else {
		c.cache.InvalidateAll()
		c.upTo[to.Shard].Store(to.Deletes)
	}
	return c.edition.Add(1), true
}

// keep puts posts into the cache that were asked for at loaded, in an edition.
func (c *postCache) keep(posts []*feedv1.Post, edition uint64, loaded time.Time) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.edition.Load() != edition {
		return
	}
	for _, p := range posts {
		c.cache.Set(feed.PostID(p.GetId()), cachedPost{post: p, loaded: loaded})
	}
}
