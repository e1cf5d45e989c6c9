package rpc

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// pages is an API whose only reply is large.
type pages struct{}

const (
	pagesMethod = "/feed.v1.TimelineService/GetHomeTimeline"
	pageBytes   = 2 << 20
)

func (pages) Register(r grpc.ServiceRegistrar) {
	page := wrapperspb.Bytes(make([]byte, pageBytes))
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
	}, pages{})
}

// bounded serves an API to that many connections.
func bounded(t *testing.T, api API, most int) (c *Connections, address string) {
	t.Helper()
	registry, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	rpc, _ := New(Config{MaxInFlight: 1000}, api, registry, log)
	c = NewConnections(most, registry, log)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = rpc.Serve(c.Listener(l)) }()
	t.Cleanup(rpc.Stop)
	return c, l.Addr().String()
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

// refused waits until that many calls have been answered with RESOURCE_EXHAUSTED.
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
			if field.Name == "grpc-status" && field.Value == "8" {
				n++
			}
		}
	}
}

// What clients do not read is bounded in bytes, keeps nobody else out, and is given up
// with their connection.
func TestRepliesNobodyReads(t *testing.T) {
	const calls, kept = 200, unreadConnection / pageBytes
	c, address := bounded(t, pages{}, 100)
	var clients []deaf
	for range unreadBytes/unreadConnection + 1 {
		d := newDeaf(t, address)
		d.ask(t, calls)
		d.refused(t, calls-kept) // of what is kept at least one begins, and is counted whole
		clients = append(clients, d)
	}
	if held := c.unread.Load(); held < unreadBytes/2 || held > unreadBytes+int64(len(clients))*(pageBytes+1<<10) {
		t.Errorf("%d MiB are held for clients that do not read, the bound is %d MiB", held>>20, unreadBytes>>20)
	}

	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	for range 2 * kept {
		page := &wrapperspb.BytesValue{}
		if err := connection.Invoke(t.Context(), pagesMethod, &emptypb.Empty{}, page); err != nil || len(page.Value) != pageBytes {
			t.Fatalf("a client that reads gets %d bytes and %v while others do not", len(page.GetValue()), err)
		}
	}
	for _, d := range clients {
		_ = d.Close()
	}
	within(t, "nothing is held", func() bool { return c.unread.Load() == 0 })
}

// One connection too many is closed at once, and makes no difference to the others.
func TestTooManyConnections(t *testing.T) {
	c, address := bounded(t, nothing{}, 2)
	first, _ := newDeaf(t, address), newDeaf(t, address)
	within(t, "two are connected", func() bool { return c.open.Load() == 2 })
	for range 10 {
		raw, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.SetReadDeadline(time.Now().Add(time.Minute)) // a socket has deadlines
		if n, err := raw.Read(make([]byte, 1)); err == nil {
			t.Errorf("the server talks (%d bytes) on a connection too many", n)
		} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Errorf("a connection too many stays open")
		}
		_ = raw.Close()
	}
	_ = first.Close()
	within(t, "the closed one does not count", func() bool { return c.open.Load() == 1 })
	again := newDeaf(t, address)
	_ = again.SetReadDeadline(time.Now().Add(time.Minute)) // a socket has deadlines
	if _, err := io.ReadFull(again.Conn, make([]byte, 9)); err != nil {
		t.Errorf("a connection in the place of another: %v", err)
	}
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
