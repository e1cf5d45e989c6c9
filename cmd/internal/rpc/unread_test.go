package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

// nothing is an API of one method, which does nothing.
type nothing struct{}

const nothingMethod = "/feed.v1.PostService/CreatePost"

func (nothing) Register(r grpc.ServiceRegistrar) {
	do := func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		request := &emptypb.Empty{}
		if err := decode(request); err != nil {
			return nil, err
		}
		return interceptor(ctx, request, &grpc.UnaryServerInfo{FullMethod: nothingMethod},
			func(context.Context, any) (any, error) { return request, nil })
	}
	r.RegisterService(&grpc.ServiceDesc{
		ServiceName: "feed.v1.PostService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "CreatePost", Handler: do}},
	}, nothing{})
}

// served returns the address of a server.
func served(t *testing.T, config Config) string {
	t.Helper()
	rpc, _ := New(config, nothing{}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = rpc.Serve(listener) }()
	t.Cleanup(rpc.Stop)
	return listener.Addr().String()
}

// half sends a request but for its last byte, and returns its status.
func half(ctx context.Context, client *http.Client, address string, request []byte) string {
	never, w := io.Pipe()
	defer w.Close()
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+nothingMethod, io.MultiReader(bytes.NewReader(request[:len(request)-1]), never))
	if err != nil {
		return err.Error()
	}
	call.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	answer, err := client.Do(call)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	return answer.Header.Get("Grpc-Status")
}

// Clients that send half of each of many large requests take memory for as many as are
// taken at once, and keep the others out for a while only.
func TestHalfSentRequests(t *testing.T) {
	const taken, sent = 8, 400
	address := served(t, Config{MaxInFlight: taken, ReadWithin: 2 * time.Second})
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	before := heap()
	request := make([]byte, 5+maxMessage)
	binary.BigEndian.PutUint32(request[1:], maxMessage)
	answers := make(chan string, sent)
	for range sent {
		go func() { answers <- half(ctx, &http.Client{Transport: transport}, address, request) }()
	}
	for range sent - taken {
		if answer := <-answers; answer != "8" {
			t.Fatalf("a half-sent request ends with %q, want RESOURCE_EXHAUSTED", answer)
		}
	}
	// Their clients' memory is in it too: no request, as they share it, but buffers.
	if took := heap() - before; took > sent*maxMessage/4 {
		t.Errorf("%d MiB are taken with %d requests of %d KiB half sent, of which %d may come in", took>>20, sent, maxMessage>>10, taken)
	} else {
		t.Logf("%d MiB", took>>20)
	}

	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	call := func() error { return connection.Invoke(ctx, nothingMethod, &emptypb.Empty{}, &emptypb.Empty{}) }
	for call() != nil {
		if ctx.Err() != nil {
			t.Fatal("the half-sent requests keep all others out")
		}
	}
	// At least one had to make room for it.
	if answer := <-answers; answer != "1" {
		t.Errorf("a request that never came to its end ends with %q, want CANCELLED", answer)
	}
	for range 10 * taken { // each gives its place back
		if err := call(); err != nil {
			t.Fatalf("a whole request afterwards: %v", err)
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
