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

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// aRequest is a request of that size, on the wire.
func aRequest(size int) []byte {
	request := make([]byte, 5+size)
	binary.BigEndian.PutUint32(request[1:], uint32(size))
	return request
}

// oneConnection returns a client that has a connection, and makes all its calls on that
// if they are no more than its streams.
func oneConnection(t *testing.T, address string) *http.Client {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	answer, err := client.Post("http://"+address+nothingMethod, "application/grpc", bytes.NewReader(aRequest(0)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return client
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
	t.Run("API", func(t *testing.T) { halfSent(t, nothingMethod, Config{MaxInFlight: 8, MaxConnections: 100}) })
	t.Run("health", func(t *testing.T) {
		halfSent(t, healthv1.Health_Check_FullMethodName, Config{MaxInFlight: 100, MaxConnections: 8})
	})
}

func halfSent(t *testing.T, method string, config Config) {
	const taken, sent = 8, 200 // fewer than a connection has streams
	config.ReadWithin = 2 * time.Second
	_, address := serve(t, config, nothing{})
	client, request := oneConnection(t, address), aRequest(maxMessage)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	before := heap()
	answers := make(chan string, sent)
	for range sent {
		go func() { answers <- half(ctx, client, "http://"+address+method, request) }()
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

// A client that never ends its requests, and has all places, keeps out only itself.
func TestHalfSentRequestsOfOneClient(t *testing.T) {
	const taken, sent = 8, 20
	_, address := serve(t, Config{MaxInFlight: taken, MaxConnections: 100, ReadWithin: time.Hour}, nothing{})
	client, request := oneConnection(t, address), aRequest(100)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answers := make(chan string, sent)
	for range sent {
		go func() { answers <- half(ctx, client, "http://"+address+nothingMethod, request) }()
	}
	for range sent - taken {
		if answer := <-answers; answer != "8" {
			t.Errorf("one too many of the same client ends with %q, want RESOURCE_EXHAUSTED", answer)
		}
	}
	others := connect(t, address)
	call := func() error { return others.Invoke(ctx, nothingMethod, &emptypb.Empty{}, &emptypb.Empty{}) }
	for status.Code(call()) == codes.ResourceExhausted { // for a moment
	}
	for range 10 * taken {
		if err := call(); err != nil {
			t.Fatalf("another client: %v", err)
		}
	}
	cancel()
	for range taken {
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
