package redis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"skein/feed"
	"skein/timeline"
)

var _ timeline.Store = (*Store)(nil)

// Store is a timeline.Store in a Redis server or a Redis Cluster. It is safe for
// concurrent use. After Close its calls fail with feed.CodeUnavailable.
type Store struct {
	opts    Options
	cluster bool
	options *goredis.Options // of every connection but for the address
	seeds   []string         // the servers of a cluster that its URL names

	// view is what is known of the cluster; loading is held by who asks anew.
	view    atomic.Pointer[view]
	loading chan struct{}

	mu struct {
		sync.Mutex
		closed bool
		nodes  map[string]*node // by address
		// used are those that have acknowledged a delivery and were not lost
		// since; losses is how often one was. See Barrier.
		used   map[*node]bool
		losses uint64
	}
}

// newStore returns a store of the cluster that seeds are servers of, or of one server
// if there are none.
func newStore(opts Options, o *goredis.Options, seeds []string) *Store {
	s := &Store{opts: opts, cluster: seeds != nil, seeds: seeds, options: clientOptions(o), loading: make(chan struct{}, 1)}
	s.mu.nodes, s.mu.used = map[string]*node{}, map[*node]bool{}
	return s
}

// single is the view of a server that is no cluster.
func single(n *node) *view {
	v := &view{begun: time.Now(), masters: []*node{n}, nodes: []*node{n}}
	for slot := range v.owner {
		v.owner[slot] = 1
	}
	return v
}

// slotOf is the slot of all keys of a viewer.
func (s *Store) slotOf(viewer feed.UserID) int {
	if !s.cluster {
		return 0
	}
	return slotOfViewer(viewer)
}

// Shard returns the number of viewer's group of slots.
func (s *Store) Shard(viewer feed.UserID) int {
	if !s.cluster {
		return 0
	}
	return slotOfViewer(viewer) / groupSlots
}

// Shards is 1 for a server and 16 for a cluster, of however many servers.
func (s *Store) Shards() int {
	if !s.cluster {
		return 1
	}
	return groupCount
}

// key names a viewer's timeline. The braces make it and whatever else a viewer
// may come to have lie in one slot of a cluster.
func (s *Store) key(v feed.UserID) string { return string(s.appendKey(nil, v)) }

func (s *Store) appendKey(b []byte, v feed.UserID) []byte {
	b = append(append(b, s.opts.Prefix...), "t:{"...)
	return append(strconv.AppendInt(b, int64(v), 36), '}')
}

func validPrefix(prefix string) bool { return !strings.ContainsAny(prefix, "{}") }

// keyIn names a key that lies in a slot and belongs to no viewer.
func (s *Store) keyIn(slot int, name string) string {
	if !s.cluster {
		return s.opts.Prefix + name
	}
	return s.opts.Prefix + name + ":{" + tags()[slot] + "}"
}

// Drop removes timelines.
func (s *Store) Drop(ctx context.Context, viewers ...feed.UserID) error {
	for _, v := range viewers {
		_, _, err := s.atSlot(ctx, s.slotOf(v), func(_ *node, pipe goredis.Pipeliner) {
			pipe.Unlink(ctx, s.key(v)) // the memory is freed outside the server's main thread
		})
		if err != nil {
			return unavailable("drop a timeline", err)
		}
	}
	return nil
}

// atOnce is how many calls each has under way.
const atOnce = 64

// each calls f with 0 to n-1, many at once, and returns the first error.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	room := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range n {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			errs[i] = f(i)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Close ends the store. Closing it again is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	var open []*node
	if !s.mu.closed {
		open = slices.Collect(maps.Values(s.mu.nodes))
	}
	s.mu.closed = true
	s.mu.Unlock()
	var errs []error
	for _, n := range open {
		errs = append(errs, n.client.Close())
	}
	return errors.Join(errs...)
}

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
