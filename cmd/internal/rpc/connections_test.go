package rpc

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// One connection too many is closed at once, and makes no difference to the others.
func TestTooManyConnections(t *testing.T) {
	rpc, address := serve(t, Config{MaxInFlight: 10, MaxConnections: 2}, nothing{})
	first, _ := newDeaf(t, address), newDeaf(t, address)
	within(t, "two are connected", func() bool { return rpc.connections.open.Load() == 2 })
	const tooMany = 10
	for range tooMany {
		raw, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.SetReadDeadline(time.Now().Add(time.Minute)) // a socket has deadlines
		n, err := raw.Read(make([]byte, 1))
		if timeout, ok := err.(net.Error); err == nil || ok && timeout.Timeout() {
			t.Errorf("a connection too many stays open: %d bytes, %v", n, err)
		}
		_ = raw.Close()
	}
	if n := rpc.connections.refused.Load(); n != tooMany {
		t.Errorf("%d connections are counted as refused, want %d", n, tooMany)
	}
	_ = first.Close()
	within(t, "the closed one does not count", func() bool { return rpc.connections.open.Load() == 1 })
	again := newDeaf(t, address)
	_ = again.SetReadDeadline(time.Now().Add(time.Minute)) // a socket has deadlines
	if _, err := io.ReadFull(again.Conn, make([]byte, 9)); err != nil {
		t.Errorf("a connection in the place of another: %v", err)
	}
}

// Headers are bounded, and a call with too many harms no other.
func TestTooManyHeaders(t *testing.T) {
	_, address := serve(t, Config{MaxInFlight: 10, MaxConnections: 2}, nothing{})
	connection := connect(t, address)
	call := func(ctx context.Context) error {
		return connection.Invoke(ctx, nothingMethod, &emptypb.Empty{}, &emptypb.Empty{})
	}
	if err := call(t.Context()); err != nil { // the client learns what the server takes
		t.Fatal(err)
	}
	long := metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("x", maxHeaders))
	if err := call(long); err == nil {
		t.Error("a call with too many headers is served")
	}
	if err := call(t.Context()); err != nil {
		t.Errorf("a call after one with too many headers: %v", err)
	}
}
