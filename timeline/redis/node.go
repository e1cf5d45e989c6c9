package redis

import (
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// node is one server. Every key of a viewer lies in one slot, and no command names
// two keys, so each goes to one node.
type node struct {
	client *goredis.Client
	store  *Store

	// sending bounds the pipelines of deliveries in flight.
	sending chan struct{}

	breaker breaker

	mu struct {
		sync.Mutex
		prepared bool // scripts are loaded, and what follows is known
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

func newNode(client *goredis.Client, s *Store) *node {
	return &node{client: client, store: s, sending: make(chan struct{}, inFlight)}
}

func (n *node) address() string { return n.client.Options().Addr }

// ready prepares a server before it is first used, and after a loss.
func (n *node) ready(ctx context.Context) error {
	n.mu.Lock()
	prepared := n.mu.prepared
	n.mu.Unlock()
	if prepared {
		return nil
	}
	return n.prepare(ctx)
}

// prepare checks a server, loads the scripts and learns under which stamp it is
// about to be used.
func (n *node) prepare(ctx context.Context) error {
	cmds, err := n.send(ctx, func(pipe goredis.Pipeliner) { pipe.Info(ctx) })
	if err != nil {
		return err
	}
	info := cmds[0].(*goredis.StringCmd).Val()
	if err := n.store.check(parseInfo(info)); err != nil {
		return err
	}
	now, err := parseBarrier(info)
	if err != nil {
		return err
	}
	if err := load(ctx, n.client); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.prepared = true
	n.mu.stamp = now.stamp
	n.mu.replicas = max(n.mu.replicas, now.wanted(n.store.cluster))
	return nil
}

// forget has a server prepared again before it is used.
func (n *node) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.prepared = false
}

// send sends what fill queues in one pipeline, if the breaker lets it, and returns
// the commands, which bear their own errors, and the first of these errors.
func (n *node) send(ctx context.Context, fill func(goredis.Pipeliner)) ([]goredis.Cmder, error) {
	if err := n.breaker.admit(ctx, n.ping); err != nil {
		return nil, err
	}
	begun := time.Now()
	cmds, err := n.client.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		fill(pipe)
		return nil
	})
	n.breaker.observe(err, time.Since(begun))
	return cmds, err
}

func (n *node) ping(ctx context.Context) error {
	err := n.client.Ping(ctx).Err()
	if answered(err) {
		return nil
	}
	return err
}

// asking makes every command that fill queues one that a server does of which it
// does not own the slot yet (ASK).
func (n *node) asking(ctx context.Context, fill func(goredis.Pipeliner)) func(goredis.Pipeliner) {
	return func(pipe goredis.Pipeliner) {
		queued := n.client.Pipeline() // only to hold what fill queues
		fill(queued)
		for _, cmd := range queued.Cmds() {
			pipe.Process(ctx, goredis.NewStatusCmd(ctx, "asking"))
			pipe.Process(ctx, cmd)
		}
	}
}

// withoutAsking leaves the commands that fill queued.
func withoutAsking(cmds []goredis.Cmder) []goredis.Cmder {
	kept := make([]goredis.Cmder, 0, len(cmds)/2)
	for i := 1; i < len(cmds); i += 2 {
		kept = append(kept, cmds[i])
	}
	return kept
}

// pipelined is send to a server that is ready. One that does not know the scripts
// (it was restarted, or its scripts were flushed) is told them, and all is sent
// again: each command may be repeated.
func (n *node) pipelined(ctx context.Context, ask bool, fill func(goredis.Pipeliner)) ([]goredis.Cmder, error) {
	if err := n.ready(ctx); err != nil {
		return nil, err
	}
	if ask {
		fill = n.asking(ctx, fill)
	}
	for try := 0; ; try++ {
		cmds, err := n.send(ctx, fill)
		if try < loads && lacksScript(cmds) {
			if err = load(ctx, n.client); err == nil {
				continue
			}
		}
		if ask {
			cmds = withoutAsking(cmds)
		}
		return cmds, err
	}
}
