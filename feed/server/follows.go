package server

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"

	"skein/feed"
	"skein/storage"
)

// maxCachedFollows bounds the follow cache: the follows that it holds in all, 16
// bytes each.
const maxCachedFollows = 4 << 20

// following is whom a viewer follows, prepared for reading.
type following struct {
	set *storage.FollowSet
	// loud are those of set who are or once were loud, as of tiers.
	loud  []feed.UserID
	tiers storage.TierVersion
	// acts is the viewer's position read before the set was loaded.
	acts   uint64
	loaded time.Time
}

// followCache holds follow sets of viewers who read. A copy is used only while
// the position read with the viewer's timeline is the one that it bears, and for
// copyLife at most: so a Follow or Unfollow that has returned is honoured by the
// next read, here and on any other server (T4).
type followCache struct {
	graph   storage.Follows
	clock   feed.Clock
	metrics *metrics
	cache   *otter.Cache[feed.UserID, *following]
}

func newFollowCache(graph storage.Follows, clock feed.Clock, m *metrics) *followCache {
	return &followCache{
		graph: graph, clock: clock, metrics: m,
		cache: otter.Must(&otter.Options[feed.UserID, *following]{
			MaximumWeight: maxCachedFollows,
			Weigher:       func(_ feed.UserID, f *following) uint32 { return uint32(len(f.set.Authors)) + 8 },
		}),
	}
}

// get returns whom viewer follows, no older than the moment at which acts was
// read. acts 0 means that nothing is known, and asks storage.
func (c *followCache) get(ctx context.Context, viewer feed.UserID, acts uint64, tiers *storage.TierView) (*following, error) {
	if acts != 0 {
		f, ok := c.cache.GetIfPresent(viewer)
		if ok && f.acts == acts && c.clock().Sub(f.loaded) < copyLife {
			c.metrics.followHits.Inc()
			if f.tiers == tiers.Version() {
				return f, nil
			}
			f = prepare(f.set, tiers, acts, f.loaded)
			c.cache.Set(viewer, f)
			return f, nil
		}
	}
	c.metrics.followMisses.Inc()
	loaded := c.clock()
	set, err := c.graph.GetFollowSet(ctx, viewer)
	if err != nil {
		return nil, err
	}
	f := prepare(set, tiers, acts, loaded)
	if acts != 0 {
		c.cache.Set(viewer, f)
	}
	return f, nil
}

func prepare(set *storage.FollowSet, tiers *storage.TierView, acts uint64, loaded time.Time) *following {
	f := &following{set: set, tiers: tiers.Version(), acts: acts, loaded: loaded}
	if tiers.HasLoud() {
		for _, author := range set.Authors {
			if tiers.History(author) != nil {
				f.loud = append(f.loud, author)
			}
		}
	}
	return f
}
