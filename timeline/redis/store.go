package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"skein/feed"
	"skein/timeline"
)

var _ timeline.Store = (*Store)(nil)

// Store is a timeline.Store in Redis. It is safe for concurrent use. After Close
// its calls fail with feed.CodeUnavailable.
type Store struct {
	opts  Options
	nodes []*node
	close func() error

	losses atomic.Uint64 // how often a Barrier found that deliveries may be lost
}

func newStore(opts Options, client *goredis.Client) *Store {
	return &Store{
		opts:  opts,
		nodes: []*node{newNode(client, opts.Prefix)},
		close: sync.OnceValue(client.Close),
	}
}

// Shard returns the number of viewer's node.
func (s *Store) Shard(viewer feed.UserID) int { return s.nodeOf(viewer).shard }

// Shards is how many nodes there are.
func (s *Store) Shards() int { return len(s.nodes) }

// Drop removes timelines.
func (s *Store) Drop(ctx context.Context, viewers ...feed.UserID) error {
	for _, v := range viewers {
		// UNLINK: the memory is freed outside the server's main thread.
		if err := s.nodeOf(v).client.Unlink(ctx, s.key(v)).Err(); err != nil {
			return unavailable("drop a timeline", err)
		}
	}
	return nil
}

// Close ends the store. Closing it again is no error.
func (s *Store) Close() error { return s.close() }

// unavailable is where every error of the driver ends.
func unavailable(doing string, err error) error {
	switch {
	case errors.Is(err, goredis.ErrClosed):
		err = errors.New("the timeline store is closed")
	case goredis.HasErrorPrefix(err, "OOM"):
		err = errOutOfMemory
	}
	return feed.Unavailable(doing, err)
}

var errOutOfMemory = errors.New("redis has reached maxmemory and may evict nothing: " +
	"set maxmemory-policy to volatile-ttl, raise maxmemory, or shorten the idle time of timelines")
