package rpc

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nothing is an API of a method that does nothing, and of a stream that sends back what
// it gets.
type nothing struct{}

const (
	nothingMethod = "/feed.v1.PostService/CreatePost"
	echoMethod    = "/feed.v1.PostService/Echo"
)

func (nothing) Register(r grpc.ServiceRegistrar) {
	do := func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		request := &emptypb.Empty{}
		if err := decode(request); err != nil {
			return nil, err
		}
		return interceptor(ctx, request, &grpc.UnaryServerInfo{FullMethod: nothingMethod},
			func(context.Context, any) (any, error) { return request, nil })
	}
	echo := func(_ any, stream grpc.ServerStream) error {
		for {
			message := &emptypb.Empty{}
			if err := stream.RecvMsg(message); err != nil {
				return err
			}
			if err := stream.SendMsg(message); err != nil {
				return err
			}
		}
	}
	r.RegisterService(&grpc.ServiceDesc{
		ServiceName: "feed.v1.PostService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "CreatePost", Handler: do}},
		Streams: []grpc.StreamDesc{{StreamName: "Echo", Handler: echo, ClientStreams: true, ServerStreams: true}},
	}, nothing{})
}

// pages is an API whose only reply has that many bytes.
type pages int

const pagesMethod = "/feed.v1.TimelineService/GetHomeTimeline"

func (p pages) Register(r grpc.ServiceRegistrar) {
	page := wrapperspb.Bytes(make([]byte, p))
	do := func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		request := &emptypb.Empty{}
		if err := decode(request); err != nil {
			return nil, err
		}
		return interceptor(ctx, request, &grpc.UnaryServerInfo{FullMethod: pagesMethod},
			func(context.Context, any) (any, error) { return page, nil })
	}
	r.RegisterService(&grpc.ServiceDesc{
		ServiceName: "feed.v1.TimelineService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "GetHomeTimeline", Handler: do}},
	}, p)
}

// serve returns a server and its address.
func serve(t *testing.T, config Config, api API) (rpc *Server, address string) {
	t.Helper()
	rpc, _ = New(config, api, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(l) }()
	t.Cleanup(func() {
		rpc.Stop()
		<-done
	})
	return rpc, l.Addr().String()
}

// connect returns a client of one connection.
func connect(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// deaf is a client that asks for pages and lets none of them come: its windows stay as
// they are at first.
type deaf struct {
	net.Conn
	*http2.Framer
}

func newDeaf(t *testing.T, address string) deaf {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	d := deaf{raw, http2.NewFramer(raw, raw)}
	d.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := raw.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return d
}

// ask asks for that many pages, each on a stream of its own.
func (d deaf) ask(t *testing.T, calls int) {
	t.Helper()
	var block bytes.Buffer
	headers := hpack.NewEncoder(&block)
	for i := range calls {
		block.Reset()
		for _, field := range [][2]string{
			{":method", "POST"},
			{":scheme", "http"},
			{":path", pagesMethod},
			{":authority", "skein"},
			{"content-type", "application/grpc"},
			{"te", "trailers"},
		} {
			_ = headers.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // to a buffer
		}
		stream := uint32(2*i + 1)
		if err := d.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteData(stream, true, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
}

// refused waits until that many calls have been answered with RESOURCE_EXHAUSTED, and
// when to try again.
func (d deaf) refused(t *testing.T, calls int) {
	t.Helper()
	_ = d.SetReadDeadline(time.Now().Add(time.Minute)) // a socket has deadlines
	for n := 0; n < calls; {
		frame, err := d.ReadFrame()
		if err != nil {
			t.Fatalf("%v after %d of %d refusals", err, n, calls)
		}
		headers, ok := frame.(*http2.MetaHeadersFrame)
		if !ok {
			continue
		}
		for _, field := range headers.Fields {
			if field.Name == "grpc-status-details-bin" && strings.Contains(decoded(field.Value), "RetryInfo") {
				n++
			}
		}
	}
}

// decoded is the value of a binary header.
func decoded(value string) string {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// within waits for a condition.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
