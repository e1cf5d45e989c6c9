package rpc

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"skein/feed"
	"skein/feed/server"
)

// incoming bounds the calls whose request has not come to its end yet. gRPC takes a
// whole message into memory before any interceptor runs, so that without it the limit
// of calls in work would bound no bytes: whoever sends half of each request could have
// as many as there are streams. With it they take maxMessage times its slots.
//
// Who sends requests slowly, or never to their end, keeps nobody out for long: when all
// places are taken, those are freed whose request is not there within that time, and
// then the client with the most gives up its oldest for one that has clearly fewer.
type incoming struct {
	most   int
	within time.Duration
	mu     struct {
		sync.Mutex
		calls map[*coming]struct{}
		of    map[net.Addr]int // how many of each client
		swept time.Time        // when late calls were looked for
	}
}

func newIncoming(most int, within time.Duration) *incoming {
	in := &incoming{most: most, within: within}
	in.mu.calls, in.mu.of = map[*coming]struct{}{}, map[net.Addr]int{}
	return in
}

// coming is the context of a call whose request is not there yet.
type coming struct {
	context.Context
	cancel context.CancelFunc
	began  time.Time
	client net.Addr // one for each connection; nil if unknown
	of     *incoming
}

// comingKey is the key under which coming finds itself.
type comingKey struct{}

func (c *coming) Value(key any) any {
	if key == (comingKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// enter returns the context of a call that begins to come in, or fails with
// feed.CodeExhausted.
func (in *incoming) enter(ctx context.Context) (context.Context, error) {
	c := &coming{began: time.Now(), of: in}
	if client, ok := peer.FromContext(ctx); ok {
		c.client = client.Addr
	}
	c.Context, c.cancel = context.WithCancel(ctx)
	if in.add(c) {
		return c, nil
	}
	c.cancel()
	return ctx, feed.Exhausted(RetryAfter, "%d requests are coming in already; try again", in.most)
}

func (in *incoming) add(c *coming) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.mu.calls) >= in.most && c.began.Sub(in.mu.swept) > in.within/100 {
		in.mu.swept = c.began
		for other := range in.mu.calls {
			if late := c.began.Sub(other.began) > in.within; late || other.Err() != nil {
				in.drop(other)
			}
		}
	}
	if len(in.mu.calls) >= in.most {
		oldest := in.oldestOfMost(c)
		if oldest == nil {
			return false
		}
		in.drop(oldest)
	}
	in.mu.calls[c] = struct{}{}
	in.mu.of[c.client]++
	return true
}

// drop takes a call's place, and ends it. The caller holds mu.
func (in *incoming) drop(c *coming) {
	in.leave(c)
	c.cancel()
}

// leave reports whether a call still had its place. The caller holds mu.
func (in *incoming) leave(c *coming) bool {
	if _, ok := in.mu.calls[c]; !ok {
		return false
	}
	delete(in.mu.calls, c)
	if in.mu.of[c.client]--; in.mu.of[c.client] == 0 {
		delete(in.mu.of, c.client)
	}
	return true
}

// atOnce is how young a call is that is not given up for another: its request is about
// to be read.
const atOnce = 100 * time.Millisecond

// oldestOfMost returns the oldest call of the client that has the most, if those are at
// least two more than the client of c has, and it is not atOnce. The caller holds mu.
func (in *incoming) oldestOfMost(c *coming) (oldest *coming) {
	most := c.client
	for client, calls := range in.mu.of {
		if calls > in.mu.of[most] {
			most = client
		}
	}
	if in.mu.of[most] < in.mu.of[c.client]+2 {
		return nil
	}
	for other := range in.mu.calls {
		if other.client == most && (oldest == nil || other.began.Before(oldest.began)) {
			oldest = other
		}
	}
	if c.began.Sub(oldest.began) < atOnce {
		return nil
	}
	return oldest
}

// arrived says that a call's request has been read, or that its handler reads it, as
// that of a stream does. It fails with feed.CodeExhausted if the call lost its place
// before.
func arrived(ctx context.Context) error {
	c, ok := ctx.Value(comingKey{}).(*coming)
	if !ok {
		return nil
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if !c.of.leave(c) {
		return server.Status(feed.Exhausted(RetryAfter, "the request came too slowly, and others wait; try again"))
	}
	return nil
}

func arrivedUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := arrived(ctx); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func arrivedStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := arrived(stream.Context()); err != nil {
		return err
	}
	return handler(service, stream)
}
