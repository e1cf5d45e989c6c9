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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	feedv1 "skein/proto/feed/v1"
)

// nothing is an API without methods: all are UNIMPLEMENTED.
type nothing struct {
	feedv1.UnimplementedPostServiceServer
}

func (n nothing) Register(r grpc.ServiceRegistrar) { feedv1.RegisterPostServiceServer(r, n) }

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

// half sends a request of this size but for its last byte, and returns its status.
func half(ctx context.Context, client *http.Client, address string, size int) string {
	message := make([]byte, 5+size-1)
	binary.BigEndian.PutUint32(message[1:], uint32(size))
	never, w := io.Pipe()
	defer w.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+feedv1.PostService_CreatePost_FullMethodName, io.MultiReader(bytes.NewReader(message), never))
	if err != nil {
		return err.Error()
	}
	request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	answer, err := client.Do(request)
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
	answers := make(chan string, sent)
	for range sent {
		go func() { answers <- half(ctx, &http.Client{Transport: transport}, address, maxMessage) }()
	}
	refused, ended := 0, 0
	for range sent {
		switch answer := <-answers; answer {
		case "8": // RESOURCE_EXHAUSTED
			if refused++; refused == sent-4*taken {
				t.Logf("%d MiB, their clients' included, with %d requests of %d KiB half sent", (heap()-before)>>20, sent, maxMessage>>10)
			}
		case "1": // CANCELLED
			ended++
		default:
			t.Fatalf("a half-sent request ends with %q, want RESOURCE_EXHAUSTED or CANCELLED", answer)
		}
	}
	if ended == 0 || refused < sent/2 {
		t.Errorf("%d were refused, and %d took too long", refused, ended)
	}

	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	for range 10 * taken { // each gives its place back
		_, err := feedv1.NewPostServiceClient(connection).CreatePost(ctx, &feedv1.CreatePostRequest{})
		if status.Code(err) != codes.Unimplemented {
			t.Fatalf("a whole request afterwards: %v", err)
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
