package rpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"

	"skein/feed/server"
)

// unread bounds the calls whose request has not come to its end yet. gRPC takes a whole
// message into memory before any interceptor runs, so that without it the limit of
// calls in work would bound no bytes: whoever sends half of each request could have as
// many as there are streams. With it they take maxMessage times its slots.
//
// A request has a time to come in, so that those who send theirs slowly, or never to
// the end, keep nobody out for long.
type unread struct {
	limit
	within time.Duration
}

// readKey is the key of the function that a call's context holds for read.
type readKey struct{}

// tap is called with the headers of each call.
func (u unread) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !strings.HasPrefix(info.FullMethodName, "/"+apiPrefix) {
		return ctx, nil
	}
	leave, err := u.enter(info.FullMethodName)
	if err != nil {
		return ctx, server.Status(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(u.within, cancel)
	end := func() {
		late.Stop()
		leave()
	}
	unended := context.AfterFunc(ctx, end)
	return context.WithValue(ctx, readKey{}, func() {
		if unended() {
			end()
		}
	}), nil
}

// read says that a call's request has been read, or that its handler reads it, as that
// of a stream does.
func read(ctx context.Context) {
	if done, ok := ctx.Value(readKey{}).(func()); ok {
		done()
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
