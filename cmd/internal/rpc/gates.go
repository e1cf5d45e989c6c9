package rpc

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"

	"skein/feed"
	"skein/feed/server"
)

// RetryAfter is how long a refused client is asked to wait: a few times what a
// call takes.
const RetryAfter = 100 * time.Millisecond

// streamShare is how many calls there may be for each stream. A stream takes a slot
// like any call, and one of a smaller limit besides: a client may leave it open and
// do nothing, and shall not keep everybody else out by that.
const streamShare = 16

// gates are what calls pass: those of the API one, health and reflection another, so
// that whoever asks whether the server is well hears of it while the API is full.
type gates struct {
	api, others gate
	silence     time.Duration // how long a stream waits for its client's next message
}

func newGates(config Config) *gates {
	within := config.ReadWithin
	return &gates{
		silence: cmp.Or(config.silence, silence),
		api:     gate{newIncoming(config.MaxInFlight, within), newLimit(config.MaxInFlight), newLimit(max(1, config.MaxInFlight/streamShare))},
		// Each connection may watch the health, and whoever only asks is answered beside.
		others: gate{newIncoming(config.MaxConnections, within), newLimit(2 * config.MaxConnections), newLimit(config.MaxConnections)},
	}
}

// of returns the gate of a method.
func (g *gates) of(method string) *gate {
	if strings.HasPrefix(method, "/"+apiPrefix) {
		return &g.api
	}
	return &g.others
}

// gate bounds the calls whose requests are coming in, those in work, and the streams
// among these.
type gate struct {
	incoming          *incoming
	inFlight, streams limit
}

// limit bounds calls in work at once. One too many is refused at once, not queued: its
// client waits better than we do. A slot holds a place in the channel.
type limit chan struct{}

func newLimit(calls int) limit { return make(limit, calls) }

// enter takes a slot, which leave gives back, or fails with feed.CodeExhausted.
func (l limit) enter() error {
	select {
	case l <- struct{}{}:
		return nil
	default:
		return feed.Exhausted(RetryAfter, "the server has %d calls in work already; try again", cap(l))
	}
}

func (l limit) leave() { <-l }

// tap is called with the headers of each call.
func (g *gates) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	ctx, err := g.of(info.FullMethodName).incoming.enter(ctx)
	if err != nil {
		return ctx, server.Status(err)
	}
	return ctx, nil
}

func (g *gates) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	slots := g.of(info.FullMethod).inFlight
	if err := slots.enter(); err != nil {
		return nil, err
	}
	defer slots.leave()
	return handler(ctx, request)
}

func (g *gates) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	through := g.of(info.FullMethod)
	for _, slots := range []limit{through.inFlight, through.streams} {
		if err := slots.enter(); err != nil {
			return err
		}
		defer slots.leave()
	}
	return handler(service, talking{stream, g.silence})
}

// talking is a stream that fails with feed.CodeExhausted if its client is silent for
// that long: it holds a place of few.
type talking struct {
	grpc.ServerStream
	silence time.Duration
}

// RecvMsg leaves what waits for the message to the end of the call, which is near.
func (t talking) RecvMsg(m any) error {
	received := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // else it would end the process
				received <- fmt.Errorf("receive a message: panic: %v", p)
			}
		}()
		received <- t.ServerStream.RecvMsg(m)
	}()
	timer := time.NewTimer(t.silence)
	defer timer.Stop()
	select {
	case err := <-received:
		return err
	case <-timer.C:
		return feed.Exhausted(RetryAfter, "nothing came for %s; try again, and send without such a pause", t.silence)
	}
}
