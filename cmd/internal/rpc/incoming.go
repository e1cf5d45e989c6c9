package rpc

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"skein/feed"
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
	}
}

func newIncoming(most int, within time.Duration) *incoming {
	in := &incoming{most: most, within: within}
	in.mu.calls = map[*coming]struct{}{}
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
	if len(in.mu.calls) >= in.most {
		for other := range in.mu.calls {
			if late := c.began.Sub(other.began) > in.within; late || other.Err() != nil {
				other.cancel()
				delete(in.mu.calls, other)
			}
		}
	}
	if len(in.mu.calls) >= in.most {
		oldest := in.oldestOfMost(c.client)
		if oldest == nil {
			return false
		}
		oldest.cancel()
		delete(in.mu.calls, oldest)
	}
	in.mu.calls[c] = struct{}{}
	return true
}

// oldestOfMost returns the oldest call of the client that has the most, if that is at
// least two more than this client has. The caller holds mu.
func (in *incoming) oldestOfMost(client net.Addr) (oldest *coming) {
	calls := map[net.Addr]int{}
	for c := range in.mu.calls {
		calls[c.client]++
	}
	for c := range in.mu.calls {
		if calls[c.client] < calls[client]+2 {
			continue
		}
		if oldest == nil || calls[c.client] > calls[oldest.client] || calls[c.client] == calls[oldest.client] && c.began.Before(oldest.began) {
			oldest = c
		}
	}
	return oldest
}

// arrived says that a call's request has been read, or that its handler reads it, as
// that of a stream does.
func arrived(ctx context.Context) {
	if c, ok := ctx.Value(comingKey{}).(*coming); ok {
		c.of.mu.Lock()
		delete(c.of.mu.calls, c)
		c.of.mu.Unlock()
	}
}

func arrivedUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	arrived(ctx)
	return handler(ctx, request)
}

func arrivedStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	arrived(stream.Context())
	return handler(service, stream)
}
