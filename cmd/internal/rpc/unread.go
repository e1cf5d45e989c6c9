package rpc

import (
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"

	"skein/feed"
	"skein/feed/server"
)

// unread bounds the calls whose request has not come to its end yet. gRPC takes a whole
// message into memory before any interceptor runs, so that without it the limit of
// calls in work would bound no bytes: whoever sends half of each request could have as
// many as there are streams. With it they take maxMessage times its slots.
//
// Who sends a request slowly, or never to its end, keeps nobody out for long: when all
// places are taken, those are freed whose request is not there within that time.
type unread struct {
	most   int
	within time.Duration
	mu     struct {
		sync.Mutex
		calls map[*coming]struct{}
	}
}

func newUnread(most int, within time.Duration) *unread {
	u := &unread{most: most, within: within}
	u.mu.calls = make(map[*coming]struct{}, most)
	return u
}

// coming is the context of a call whose request is not there yet.
type coming struct {
	context.Context
	cancel context.CancelFunc
	began  time.Time
	of     *unread
}

// comingKey is the key under which coming finds itself.
type comingKey struct{}

func (c *coming) Value(key any) any {
	if key == (comingKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// tap is called with the headers of each call.
func (u *unread) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !strings.HasPrefix(info.FullMethodName, "/"+apiPrefix) {
		return ctx, nil
	}
	c := &coming{began: time.Now(), of: u}
	c.Context, c.cancel = context.WithCancel(ctx)
	if u.enter(c) {
		return c, nil
	}
	c.cancel()
	return ctx, server.Status(feed.Exhausted(RetryAfter, "%d requests are coming in already; try again", u.most))
}

func (u *unread) enter(c *coming) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.mu.calls) >= u.most {
		for other := range u.mu.calls {
			if late := c.began.Sub(other.began) > u.within; late || other.Err() != nil {
				other.cancel()
				delete(u.mu.calls, other)
			}
		}
	}
	if len(u.mu.calls) >= u.most {
		return false
	}
	u.mu.calls[c] = struct{}{}
	return true
}

// read says that a call's request has been read, or that its handler reads it, as that
// of a stream does.
func read(ctx context.Context) {
	if c, ok := ctx.Value(comingKey{}).(*coming); ok {
		c.of.mu.Lock()
		delete(c.of.mu.calls, c)
		c.of.mu.Unlock()
	}
}

func readUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	read(ctx)
	return handler(ctx, request)
}

func readStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	read(stream.Context())
	return handler(service, stream)
}
