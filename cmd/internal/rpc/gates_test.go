package rpc

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A stream that nobody talks on gives up its place, and one that is used does not.
func TestSilentStreams(t *testing.T) {
	const quiet = 300 * time.Millisecond
	_, address := serve(t, Config{MaxInFlight: streamShare, MaxConnections: 10, silence: quiet}, nothing{}) // a single stream
	connection := connect(t, address)
	open := func() grpc.ClientStream {
		stream, err := connection.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, echoMethod)
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	talks := open()
	tick := time.NewTicker(quiet / 10)
	defer tick.Stop()
	for range 30 { // three times as long
		if err := talks.SendMsg(&emptypb.Empty{}); err != nil {
			t.Fatal(err)
		}
		if err := talks.RecvMsg(&emptypb.Empty{}); err != nil {
			t.Fatalf("a stream that is used: %v", err)
		}
		<-tick.C
	}
	if err := talks.RecvMsg(&emptypb.Empty{}); status.Code(err) != codes.ResourceExhausted { // and says no more
		t.Errorf("a stream that is silent: %v, want RESOURCE_EXHAUSTED", err)
	}
	next := open()
	if err := next.SendMsg(&emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if err := next.RecvMsg(&emptypb.Empty{}); err != nil {
		t.Errorf("a stream in its place: %v", err)
	}
}
