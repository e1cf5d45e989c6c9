package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"skein/feed"
)

// A call is over for gRPC when its reply has been handed to the transport, which keeps
// it until the client takes it. So the limit of calls in work bounds no replies: one
// connection could leave 250 of 4 MiB. heldUnary counts them when they are made, and
// the codec when their buffer comes back.

// reply is one that is counted. It is the pool of its own buffer.
type reply struct {
	proto.Message
	size       int
	connection *connection
}

// Get is not used.
func (r *reply) Get(n int) *[]byte { return mem.DefaultBufferPool().Get(n) }

// Put is called when the reply has been sent, or never will be.
func (r *reply) Put(buffer *[]byte) {
	r.connection.release(int64(r.size))
	mem.DefaultBufferPool().Put(buffer)
}

// heldUnary counts the reply for its connection. Replies below a kibibyte are not
// counted: there are few enough streams for them.
func heldUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	answer, err := handler(ctx, request)
	m, ok := answer.(proto.Message)
	if err != nil || !ok {
		return answer, err
	}
	client, _ := peer.FromContext(ctx)
	from, ok := client.Addr.(peerAddr)
	if !ok {
		return answer, nil
	}
	size := proto.Size(m)
	switch {
	case mem.IsBelowBufferPoolingThreshold(size):
		return answer, nil
	case !from.connection.hold(int64(size)):
		return nil, feed.Exhausted(RetryAfter, "too many replies wait for clients that do not read them; read yours, and try again")
	}
	return &reply{m, size, from.connection}, nil
}

// countingCodec encodes counted replies.
type countingCodec struct{ encoding.CodecV2 }

func (c countingCodec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(*reply)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	buffer := r.Get(r.size)
	// The size was computed when the reply was counted, and nobody has it since.
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend((*buffer)[:0], r.Message); err != nil {
		r.Put(buffer)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(buffer, r)}, nil
}
