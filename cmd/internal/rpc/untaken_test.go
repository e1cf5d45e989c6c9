package rpc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// read reads a page.
func read(ctx context.Context, connection *grpc.ClientConn, size pages) error {
	page := &wrapperspb.BytesValue{}
	if err := connection.Invoke(ctx, pagesMethod, &emptypb.Empty{}, page); err != nil {
		return err
	}
	if len(page.Value) != int(size) {
		return fmt.Errorf("a page of %d bytes, want %d", len(page.Value), size)
	}
	return nil
}

// What one connection leaves unread is bounded, and so is what all do; those who read
// one after the other are served beside them, and what is closed counts no more.
func TestRepliesNobodyReads(t *testing.T) {
	const page, each, most, calls = pages(100 << 10), 20, 70, 200
	const kept = int(page) + perCall // for each, and some bytes
	rpc, address := serve(t, Config{
		MaxInFlight: 1000, MaxConnections: 100, ReadWithin: time.Hour,
		untakenBytes: most*kept + 4<<10, untakenEach: each*kept + 4<<10,
	}, page)
	var clients []deaf
	left := most
	for left > 0 {
		d := newDeaf(t, address)
		d.ask(t, calls)
		d.refused(t, calls-min(each, left))
		left -= min(each, left)
		clients = append(clients, d)
	}
	if held := rpc.untaken.total() / kept; held != most {
		t.Errorf("%d pages are held for clients that do not read, want %d", held, most)
	}
	reader := connect(t, address)
	for range 3 * each {
		if err := read(t.Context(), reader, page); err != nil {
			t.Fatalf("a client that reads beside them: %v", err)
		}
	}
	for _, d := range clients {
		_ = d.Close()
	}
	within(t, "nothing is held", func() bool { return rpc.untaken.total() == 0 })
}

// When all is full, clients that have not read for long are closed, and the others are
// served, large pages, many calls at once and all.
func TestWhoReadsIsServed(t *testing.T) {
	const large, small = pages(100 << 10), pages(10 << 10)
	for _, page := range []pages{large, small} {
		_, address := serve(t, Config{
			MaxInFlight: 1000, MaxConnections: 100, ReadWithin: 2 * time.Second,
			untakenBytes: 1 << 20, untakenEach: 1 << 20,
		}, page)
		d := newDeaf(t, address)
		d.ask(t, 200)
		d.refused(t, 20) // at least
		connection := connect(t, address)
		deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
		var g errgroup.Group
		var refused atomic.Int64
		for range 64 {
			g.Go(func() error {
				for {
					err := read(deadline, connection, page)
					if status.Code(err) != codes.ResourceExhausted {
						return err
					}
					refused.Add(1)
				}
			})
		}
		if err := g.Wait(); err != nil {
			t.Errorf("pages of %d bytes: %v after %d refusals", page, err, refused.Load())
		}
		cancel()
		if page == large && refused.Load() == 0 {
			t.Error("nothing was full, so nothing was tested")
		}
	}
}

// A call that ends while its reply is on the way gives it back, sooner or later, on a
// connection that stays.
func TestEndedCallsGiveBack(t *testing.T) {
	const page = pages(20 << 10)
	rpc, address := serve(t, Config{MaxInFlight: 1000, MaxConnections: 10}, page)
	connection := connect(t, address)
	var g errgroup.Group
	g.SetLimit(100)
	for range 5000 {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Int64N(int64(4*time.Millisecond))))
			defer cancel()
			_ = read(ctx, connection, page) // however it ends
			return nil
		})
	}
	_ = g.Wait()
	within(t, "nothing is held", func() bool {
		runtime.GC()
		return rpc.untaken.total() == 0
	})
	if err := read(t.Context(), connection, page); err != nil {
		t.Error(err)
	}
}
