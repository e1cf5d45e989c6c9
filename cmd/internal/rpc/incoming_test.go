package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
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

// half sends a request but for its last byte, and returns its status.
func half(ctx context.Context, client *http.Client, url string, request []byte) string {
	never, w := io.Pipe()
	defer w.Close()
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.MultiReader(bytes.NewReader(request[:len(request)-1]), never))
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
// taken at once, and keep the others out for a while only; the health of the server,
// that is asked beside, included.
func TestHalfSentRequests(t *testing.T) {
	t.Run("API", func(t *testing.T) { halfSent(t, nothingMethod, 8, Config{MaxInFlight: 8, MaxConnections: 100}) })
	t.Run("health", func(t *testing.T) {
		halfSent(t, healthv1.Health_Check_FullMethodName, 100, Config{MaxInFlight: 8, MaxConnections: 100})
	})
}

func halfSent(t *testing.T, method string, taken int, config Config) {
	const sent = 800
	config.ReadWithin = 2 * time.Second
	_, address := serve(t, config, nothing{})
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols, MaxConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	before := heap()
	request := make([]byte, 5+maxMessage)
	binary.BigEndian.PutUint32(request[1:], maxMessage)
	answers := make(chan string, sent)
	for range sent {
		go func() { answers <- half(ctx, &http.Client{Transport: transport}, "http://"+address+method, request) }()
	}
	for range sent - taken {
		if answer := <-answers; answer != "8" {
			t.Fatalf("a half-sent request ends with %q, want RESOURCE_EXHAUSTED", answer)
		}
	}
	// Their clients' memory is in it too: no request, as they share it, but buffers.
	took := heap() - before
	t.Logf("%d MiB with %d requests of %d KiB half sent, of which %d may come in", took>>20, sent, maxMessage>>10, taken)
	if took > sent*maxMessage/4 {
		t.Error("that is more than a quarter of what was sent")
	}

	connection := connect(t, address)
	call := func() error { return connection.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}) }
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
	cancel()
	for range taken - 1 {
		<-answers
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
