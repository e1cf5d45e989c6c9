package rpc

import (
	"context"
	"runtime"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// encoded is a reply on its way to the client, and the pool of its own buffer, so that
// the transport says when it has let go of it.
type encoded struct {
	buffer  *[]byte
	held    *held
	cleanup runtime.Cleanup
}

// untakenUnary counts the reply for its connection until the client has taken it, and
// the headers of its call, which are kept as long.
func untakenUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	client, ok := peer.FromContext(ctx)
	if !ok {
		return handler(ctx, request)
	}
	from, ok := client.Addr.(peerAddr)
	if !ok {
		return handler(ctx, request)
	}
	c := from.connection
	if _, err := c.of.hold(c, 0); err != nil {
		return nil, err
	}
	answer, err := handler(ctx, request)
	m, ok := answer.(proto.Message)
	if err != nil || !ok {
		return answer, err
	}
	e := &encoded{}
	e.buffer = e.Get(max(proto.Size(m), leastPooled)) // what is appended to none of it fits
	if e.held, err = c.of.hold(c, cap(*e.buffer)); err != nil {
		e.put()
		return nil, err
	}
	// A transport whose stream ends at the wrong moment drops a buffer without a word.
	e.cleanup = runtime.AddCleanup(e, (*held).release, e.held)
	if *e.buffer, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend((*e.buffer)[:0], m); err != nil {
		return nil, err // the buffer is collected, and so given back
	}
	return e, nil
}

const (
	// leastPooled is the smallest buffer whose end the transport tells.
	leastPooled = 1<<10 + 1
	// pooled is the largest that comes from the pool: its next size is thirty times as
	// large.
	pooled = 32 << 10
)

// Get returns a buffer of n bytes.
func (e *encoded) Get(n int) *[]byte {
	if n > pooled {
		return new(make([]byte, n))
	}
	return mem.DefaultBufferPool().Get(n)
}

// Put is called when the reply has been sent, or never will be.
func (e *encoded) Put(*[]byte) {
	e.cleanup.Stop()
	e.held.release()
	e.put()
}

func (e *encoded) put() {
	if cap(*e.buffer) <= pooled {
		mem.DefaultBufferPool().Put(e.buffer)
	}
}

// encodedCodec sends encoded replies as they are.
type encodedCodec struct{ encoding.CodecV2 }

func (c encodedCodec) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(*encoded); ok {
		return mem.BufferSlice{mem.NewBuffer(e.buffer, e)}, nil
	}
	return c.CodecV2.Marshal(v)
}
