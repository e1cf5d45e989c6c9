package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	feedv1 "skein/proto/feed/v1"
)

// asIs sends bytes as they are.
type asIs struct{}

func (asIs) Name() string                  { return "proto" }
func (asIs) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (asIs) Unmarshal([]byte, any) error   { return nil }

// attack is a message for a method, and the answer that is due; OK stands for
// any that the API names.
type attack struct {
	method  protoreflect.MethodDescriptor
	message []byte
	want    codes.Code
}

// send makes the call, as a stream where the method is one.
func (a attack) send(t *testing.T, connection *grpc.ClientConn) error {
	name := fmt.Sprintf("/%s/%s", a.method.Parent().FullName(), a.method.Name())
	if !a.method.IsStreamingClient() {
		return connection.Invoke(withDeadline(t), name, a.message, &struct{}{}, grpc.ForceCodec(asIs{}))
	}
	stream, err := connection.NewStream(withDeadline(t), &grpc.StreamDesc{ClientStreams: true}, name, grpc.ForceCodec(asIs{}))
	if err != nil {
		return err
	}
	_ = stream.SendMsg(a.message) // RecvMsg tells why it failed
	_ = stream.CloseSend()
	return stream.RecvMsg(&struct{}{})
}

// attacks are messages of 5 MB and noise for every method of the API. What is
// wrong with fields is tried next to the code that checks them, in feed/server.
func attacks(rng *rand.Rand) (all []attack) {
	large := make([]byte, 5<<20)
	for _, file := range []protoreflect.FileDescriptor{
		feedv1.File_feed_v1_post_proto, feedv1.File_feed_v1_graph_proto, feedv1.File_feed_v1_timeline_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				method := methods.Get(j)
				fields := method.Input().Fields()
				for k := range fields.Len() {
					tag := protowire.AppendTag(nil, fields.Get(k).Number(), protowire.BytesType)
					all = append(all, attack{method, protowire.AppendBytes(tag, large), codes.ResourceExhausted})
				}
				unknown := protowire.AppendTag(nil, 99, protowire.BytesType)
				all = append(all,
					attack{method, protowire.AppendBytes(unknown, large), codes.ResourceExhausted},
					attack{method, large, codes.ResourceExhausted},
					attack{method, bytes.Repeat([]byte{0xff}, 100<<10), codes.InvalidArgument})
				for size := range 20 {
					noise := make([]byte, size*size)
					for i := range noise {
						noise[i] = byte(rng.Uint32())
					}
					all = append(all, attack{method, noise, codes.OK})
				}
			}
		}
	}
	return all
}

// liveHeap is what a process has in use after its garbage was collected.
func liveHeap(t *testing.T, metrics string) float64 {
	t.Helper()
	for range 2 { // pools let go at the second
		answer, err := http.Get("http://" + metrics + "/debug/pprof/heap?gc=1")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	return scrape(t, metrics, "go_memstats_heap_alloc_bytes", "")
}

// A process behind its real limits: what is too large or no message at all gets
// a clean code, leaves no memory behind, and harms nobody else.
func TestHostileMessages(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	server := serve(t, t.TempDir())
	connection := dial(t, server.addresses.GRPC)
	all := attacks(rand.New(rand.NewPCG(seed, 0)))
	round := func() {
		t.Helper()
		for _, a := range all {
			err := a.send(t, connection)
			switch code := status.Code(err); code {
			case codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.ResourceExhausted:
				if a.want != codes.OK && code != a.want {
					t.Fatalf("%s with %.40x: %v, want %v", a.method.FullName(), a.message, err, a.want)
				}
			default:
				t.Fatalf("%s with %.400x: %v, which the API does not name", a.method.FullName(), a.message, err)
			}
		}
	}
	round()
	before := liveHeap(t, server.addresses.Metrics)
	round()
	round()
	if grown := liveHeap(t, server.addresses.Metrics) - before; grown > 8<<20 {
		t.Errorf("%d refused messages left %.0f bytes behind", 2*len(all), grown)
	}
	graph := feedv1.NewGraphServiceClient(connection)
	largest := &feedv1.ImportFollowsRequest{}
	for i := range int64(10_000) {
		largest.Follows = append(largest.Follows, &feedv1.FollowEdge{ViewerId: 1<<62 + i, AuthorId: 1 << 61})
	}
	stream, err := graph.ImportFollows(withDeadline(t))
	if err == nil {
		err = stream.Send(largest)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := stream.CloseAndRecv(); err != nil || got.GetAdded() != 10_000 {
		t.Errorf("the largest import after all that: %v (%v)", got, err)
	}
	server.signal(t, syscall.SIGTERM)
	code, stderr := server.exit(t)
	if code != exitOK || strings.Contains(stderr, "panicked") || strings.Contains(stderr, "a call failed") {
		t.Errorf("exit %d, want 0 and no failures of our own:\n%s", code, stderr)
	}
}
