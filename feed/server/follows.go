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

// wholeLife is the longest that a set may live on the word of storage that its
// version is the same. It matters where storage lost an acknowledged follow (servers
// that --allow-weak lets pass): the next one gets the same version.
const wholeLife = time.Minute

// following is whom a viewer follows, prepared for reading.
type following struct {
	set *storage.FollowSet
	// loud are those of set who are or once were loud, as of tiers.
	loud  []feed.UserID
	tiers storage.TierVersion
	// acts is the viewer's position read before storage was asked, at asked,
	// whether the set is still this one. At read all of it was read.
	acts        uint64
	asked, read time.Time
}

// followCache holds follow sets of viewers who read. A copy is used only while
// the position read with the viewer's timeline is the one that it bears, and for
// copyLife at most: so a Follow or Unfollow that has returned is honoured by the
// next read, here and on any other server (T4). After that storage is asked whether
// the set is still that one, which costs the same for 50 follows and for 5,000.
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
	now := c.clock()
	old, found := c.cache.GetIfPresent(viewer)
	if !found {
		old = &following{}
	}
	if found && acts != 0 && old.acts == acts && now.Sub(old.asked) < copyLife {
		c.metrics.followHits.Inc()
		if old.tiers == tiers.Version() {
			return old, nil
		}
		return c.keep(viewer, old.prepared(old.set, tiers)), nil
	}
	var known *storage.FollowSet
	if now.Sub(old.read) < wholeLife {
		known = old.set
	}
	set, err := c.graph.GetFollowSet(ctx, viewer, known)
	if err != nil {
		return nil, err
	}
	f := old.prepared(set, tiers)
	f.acts, f.asked = acts, now
	if set == old.set {
		c.metrics.followUnchanged.Inc()
	} else {
		c.metrics.followMisses.Inc()
		f.read = now
	}
	return c.keep(viewer, f), nil
}

// keep puts f into the cache, unless it bears no position.
func (c *followCache) keep(viewer feed.UserID, f *following) *following {
	if f.acts != 0 {
		c.cache.Set(viewer, f)
	}
	return f
}

// prepared returns f with another set, or other tiers.
func (f *following) prepared(set *storage.FollowSet, tiers *storage.TierView) *following {
	p := *f
	if set == f.set && tiers.Version() == f.tiers {
		return &p
	}
	p.set, p.tiers, p.loud = set, tiers.Version(), nil
	if tiers.HasLoud() {
		for _, author := range set.Authors {
			if tiers.History(author) != nil {
				p.loud = append(p.loud, author)
			}
		}
	}
	return &p
}
