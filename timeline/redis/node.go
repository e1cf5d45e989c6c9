package redis

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"skein/feed"
)

// node is one master and its keys. That there is only one is known to nodeOf
// alone (and to Open, which makes it): every key of a viewer lies in one slot,
// every other key belongs to a master, and no command names two.
type node struct {
	client *goredis.Client
	shard  int
	log    string // key of its log of deletes
	proof  string // key that barriers write

	// sending bounds the pipelines of deliveries in flight.
	sending chan struct{}

	mu struct {
		sync.Mutex
		barrier
	}
}

const (
	dialTimeout = 2 * time.Second
	// ioTimeout cuts a server that has stalled. A pipeline of pipelineLength
	// commands takes a millisecond.
	ioTimeout = 3 * time.Second

	poolSize = 16
	// inFlight is how many pipelines of deliveries a node is sent at once: one
	// is executed while others travel and are prepared.
	inFlight = 4
)

// clientOptions completes what the URL says.
func clientOptions(o *goredis.Options) *goredis.Options {
	o.ContextTimeoutEnabled = true // else a deadline does not cut a command
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = dialTimeout, ioTimeout, ioTimeout, ioTimeout
	o.DialerRetries = 1
	o.PoolSize = poolSize
	o.PipelinePoolSize = poolSize
	// A stalled server would be waited for twice. The pool itself finds out
	// which connections a server has closed.
	o.MaxRetries = -1
	o.Protocol = 2 // what the server sends on its own account is of no use here
	o.DisableIdentity = true
	return o
}

func newNode(client *goredis.Client, prefix string) *node {
	return &node{client: client, log: prefix + "deletes", proof: prefix + "barrier", sending: make(chan struct{}, inFlight)}
}

// nodeOf returns the node of a viewer's timeline.
func (s *Store) nodeOf(feed.UserID) *node { return s.nodes[0] }

// key names a viewer's timeline. The braces make it and whatever else a viewer
// may come to have lie in one slot of a cluster.
func (s *Store) key(v feed.UserID) string { return string(s.appendKey(nil, v)) }

func (s *Store) appendKey(b []byte, v feed.UserID) []byte {
	b = append(append(b, s.opts.Prefix...), "t:{"...)
	return append(strconv.AppendInt(b, int64(v), 36), '}')
}

func validPrefix(prefix string) bool { return !strings.ContainsAny(prefix, "{}") }

// each calls f with every node and returns the first error.
func (s *Store) each(ctx context.Context, f func(context.Context, *node) error) error {
	for _, n := range s.nodes {
		if err := f(ctx, n); err != nil {
			return err
		}
	}
	return nil
}
