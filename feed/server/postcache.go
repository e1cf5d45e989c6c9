package server

import (
	"context"
	"sync"
	"sync/atomic"

	"skein/feed"
	"skein/storage"
	"skein/timeline"
)

const (
	// maxCachedPosts bounds the post cache, in bytes of posts.
	maxCachedPosts = 64 << 20
	// postBytes is about what a cached post takes besides its text and payload.
	postBytes = 128
	// cacheBits are the bits of a place in the cache, of which there are as many as
	// short posts fit into maxCachedPosts.
	cacheBits = 18
)

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
//
// A post has one place, which it takes from whatever is there: copies live too short
// for a choice to pay. Fifty look-ups a page are then fifty loads that do not wait
// for each other.
type postCache struct {
	posts   storage.Posts
	deletes timeline.Store
	clock   feed.Clock
	metrics *metrics
	places  [1 << cacheBits]atomic.Pointer[shownPost]
	upTo    []atomic.Uint64 // by shard
	edition atomic.Uint64   // how often upTo was changed

	// changing is held by whoever changes places, upTo and edition, never over I/O.
	changing struct {
		sync.Mutex
		bytes int // of all posts in places
		hand  int // the place that is emptied next to make room
	}
}

func newPostCache(posts storage.Posts, deletes timeline.Store, clock feed.Clock, m *metrics) *postCache {
	return &postCache{
		posts: posts, deletes: deletes, clock: clock, metrics: m,
		upTo: make([]atomic.Uint64, deletes.Shards()),
	}
}

// place is where a post is, if it is here.
func (c *postCache) place(id feed.PostID) *atomic.Pointer[shownPost] {
	const golden = 0x9e3779b97f4a7c15 // spreads ids, of which the time is in the upper bits
	return &c.places[uint64(id)*golden>>(64-cacheBits)]
}

// put puts a post into a place, or nothing. The caller holds changing.
func (c *postCache) put(place *atomic.Pointer[shownPost], post *shownPost) {
	if post != nil {
		c.changing.bytes += postBytes + len(post.field)
	}
	if old := place.Swap(post); old != nil {
		c.changing.bytes -= postBytes + len(old.field)
	}
}

// get returns the posts of candidates, nil for those that do not exist, as of the
// position that was read with the viewer's timeline or later. It fails as a whole.
func (c *postCache) get(ctx context.Context, candidates []timeline.Candidate, seen timeline.Position) ([]*shownPost, error) {
	found := make([]*shownPost, len(candidates))
	loaded := c.clock()
	var missing []feed.PostID
	var edition uint64
	usable := seen.Acts != 0
	if usable {
		edition, usable = c.advance(ctx, seen)
	}
	for i, candidate := range candidates {
		if usable {
			if p := c.place(candidate.Post).Load(); p != nil && p.id == candidate.Post && loaded.Sub(p.loaded) < copyLife {
				found[i] = p
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
	fresh, err := toShown(posts, loaded)
	if err != nil {
		return nil, err
	}
	if usable {
		c.keep(fresh, edition)
	}
	for i := range found {
		if found[i] == nil && len(fresh) > 0 && fresh[0].id == candidates[i].Post {
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
			if place := c.place(id); place.Load() != nil && place.Load().id == id {
				c.put(place, nil)
			}
		}
		c.upTo[to.Shard].Store(max(upTo, to.Deletes))
	} else {
		for i := range c.places {
			c.put(&c.places[i], nil)
		}
		c.upTo[to.Shard].Store(to.Deletes)
	}
	return c.edition.Add(1), true
}

// keep puts posts into the cache that were loaded in an edition.
func (c *postCache) keep(posts []*shownPost, edition uint64) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.edition.Load() != edition {
		return
	}
	for _, p := range posts {
		c.put(c.place(p.id), p)
	}
	for c.changing.bytes > maxCachedPosts {
		c.put(&c.places[c.changing.hand], nil)
		c.changing.hand = (c.changing.hand + 1) % len(c.places)
	}
}
