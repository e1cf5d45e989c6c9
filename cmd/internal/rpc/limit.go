package rpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"

	"skein/feed"
)

// limit bounds the calls of the API in work at once, a stream being one call.
// One too many is refused at once, not queued: its client waits better than we
// do. Health and reflection are always let in. A slot holds a place in the
// channel.
type limit chan struct{}

// RetryAfter is how long a refused client is asked to wait: a few times what a
// call takes.
const RetryAfter = 100 * time.Millisecond

// streamShare is how many calls there may be for each stream. A stream takes a slot
// like any call, and one of a smaller limit besides: a client may leave it open and
// do nothing, and shall not keep everybody else out by that.
const streamShare = 16

func newLimit(calls int) limit { return make(limit, calls) }

// enter takes a slot, which leave gives back, or fails with feed.CodeExhausted.
func (l limit) enter(method string) (leave func(), err error) {
	if !strings.HasPrefix(method, "/"+apiPrefix) {
		return func() {}, nil
	}
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	default:
		return nil, feed.Exhausted(RetryAfter, "the server has %d calls in work already; try again", cap(l))
	}
}

func (l limit) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	leave, err := l.enter(info.FullMethod)
	if err != nil {
		return nil, err
	}
	defer leave()
	return handler(ctx, request)
}

func (l limit) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	leave, err := l.enter(info.FullMethod)
	if err != nil {
		return err
	}
	defer leave()
	return handler(service, stream)
}
