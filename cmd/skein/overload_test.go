package main

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"skein/cmd/internal/engines"
	"skein/cmd/internal/rpc"
	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
)

// heldPosts keeps each GetPosts waiting until it is let through, or its caller
// leaves.
type heldPosts struct {
	storage.Posts
	calls   atomic.Int64 // that reached it
	through chan struct{}
	left    chan struct{} // one for each caller who left
}

func (p *heldPosts) GetPosts(ctx context.Context, ids []feed.PostID) ([]feed.Post, error) {
	p.calls.Add(1)
	select {
	case <-p.through:
		return p.Posts.GetPosts(ctx, ids)
	case <-ctx.Done():
		p.left <- struct{}{}
		return nil, feed.Unavailable("read posts", ctx.Err())
	}
}

// overload is a server that has as many calls in work as it takes, all of them
// waiting for storage.
type overload struct {
	services
	healthv1.HealthClient
	held   *heldPosts
	ended  chan error // the result of each call that waited
	cancel [admitted]context.CancelFunc
}

const admitted = 8

func overloaded(t *testing.T) *overload {
	o := &overload{held: &heldPosts{through: make(chan struct{}), left: make(chan struct{}, admitted)}, ended: make(chan error, admitted)}
	app := startApp(t, func(c *Config) { c.MaxInFlight = admitted }, func(s *engines.Set) {
		o.held.Posts = s.Posts
		s.Posts = o.held
	})
	connection := dial(t, app.Addresses().GRPC)
	o.HealthClient = healthv1.NewHealthClient(connection)
	o.services = services{feedv1.NewPostServiceClient(connection), feedv1.NewGraphServiceClient(connection), feedv1.NewTimelineServiceClient(connection)}
	for i := range admitted {
		var ctx context.Context
		ctx, o.cancel[i] = context.WithCancel(withDeadline(t))
		go func() {
			_, err := o.BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{Ids: []int64{1}})
			o.ended <- err
		}()
	}
	eventually(t, "all slots taken", func() bool { return o.held.calls.Load() == admitted })
	return o
}

// oneTooMany makes a call of each kind and wants it refused, with a delay.
func (o *overload) oneTooMany(t *testing.T) {
	t.Helper()
	ctx := withDeadline(t)
	_, post := o.CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: 1, Text: "honk"})
	_, batch := o.BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{Ids: []int64{1}})
	_, home := o.GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{ViewerId: 1})
	_, invalid := o.GetUser(ctx, &feedv1.GetUserRequest{Id: -1}) // not looked at either
	for call, err := range map[string]error{"CreatePost": post, "BatchGetPosts": batch, "GetHomeTimeline": home, "GetUser": invalid} {
		wantRetry(t, call, err)
	}
}

// wantRetry checks for RESOURCE_EXHAUSTED and when to come back.
func wantRetry(t *testing.T, call string, err error) {
	t.Helper()
	refused := status.Convert(err)
	var delay *errdetails.RetryInfo
	for _, detail := range refused.Details() {
		delay, _ = detail.(*errdetails.RetryInfo)
	}
	if refused.Code() != codes.ResourceExhausted || delay.GetRetryDelay().AsDuration() != rpc.RetryAfter {
		t.Fatalf("%s, one too many: %v %v, want RESOURCE_EXHAUSTED and a delay of %s", call, err, refused.Details(), rpc.RetryAfter)
	}
}

// However many calls there are too many, they are refused before they reach
// storage, and cost those admitted nothing: each goes on when storage does.
func TestOverload(t *testing.T) {
	o := overloaded(t)
	const storm = 40
	for range storm {
		o.oneTooMany(t)
	}
	if n := o.held.calls.Load(); n != admitted {
		t.Errorf("%d calls reached storage, want the %d that were admitted", n, admitted)
	}
	if _, err := o.Check(withDeadline(t), &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("health in an overload: %v", err)
	}
	for done := 1; done <= admitted; done++ {
		o.held.through <- struct{}{}
		if err := <-o.ended; err != nil {
			t.Errorf("an admitted call ended with %v", err)
		}
		// Its place is free, once for each that has ended; all others wait.
		for range storm {
			if _, err := o.GetUserTimeline(withDeadline(t), &feedv1.GetUserTimelineRequest{AuthorId: 1}); status.Code(err) != codes.NotFound {
				t.Fatalf("with %d places free: %v, want NOT_FOUND", done, err)
			}
		}
	}
}

// Who is refused is told at once, and who is admitted beside many refused ones is
// answered as soon: neither takes many times what a call takes at a server with nothing
// to do. Many is 30, as the storm takes processors too: what this holds is that nobody
// is queued, which would take thousands.
func TestOverloadKeepsLatency(t *testing.T) {
	const calls, storms, times = 50, 4, 30
	idle := dialAll(t, &process{addresses: startApp(t, asItIs, intact).Addresses()})
	o := overloaded(t)
	// one returns how long the next call took whose answer has this code.
	one := func(s services, code codes.Code) time.Duration {
		for {
			began := time.Now()
			_, err := s.GetUserTimeline(withDeadline(t), &feedv1.GetUserTimelineRequest{AuthorId: 1})
			if status.Code(err) == code {
				return time.Since(began)
			}
			if status.Code(err) != codes.ResourceExhausted {
				t.Fatal(err)
			}
		}
	}
	median := func(s services, code codes.Code) time.Duration {
		var took []time.Duration
		for range calls {
			took = append(took, one(s, code))
		}
		slices.Sort(took)
		return took[calls/2]
	}
	alone := median(idle, codes.NotFound)
	refused := median(o.services, codes.ResourceExhausted)

	o.cancel[0]() // a place
	<-o.held.left
	<-o.ended
	ctx, stop := context.WithCancel(t.Context())
	wait := together(storms, func(int) {
		for ctx.Err() == nil {
			_, _ = o.GetUserTimeline(ctx, &feedv1.GetUserTimelineRequest{AuthorId: 1})
		}
	})
	admitted := median(o.services, codes.NotFound)
	stop()
	wait()
	if refused > times*alone || admitted > times*alone {
		t.Errorf("a call takes %v; one that is refused %v, one that is admitted beside those %v", alone, refused, admitted)
	}
}

// A client that leaves gives its place back, and no more than its own.
func TestOverloadOfClientsThatLeave(t *testing.T) {
	o := overloaded(t)
	o.cancel[0]()
	<-o.held.left
	if err := <-o.ended; status.Code(err) != codes.Canceled {
		t.Errorf("the call that was given up ended with %v", err)
	}
	ctx, cancel := context.WithCancel(withDeadline(t))
	defer cancel()
	eventually(t, "a place", func() bool {
		if o.held.calls.Load() > admitted {
			return true
		}
		go func() { _, _ = o.BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{Ids: []int64{1}}) }()
		return false
	})
	o.oneTooMany(t)
	for _, cancel := range o.cancel {
		cancel()
	}
}

// countedGraph counts the messages of imports.
type countedGraph struct {
	storage.Graph
	imports atomic.Int64
}

func (g *countedGraph) ImportFollows(ctx context.Context, edges []feed.Follow) (storage.Imported, error) {
	g.imports.Add(1)
	return g.Graph.ImportFollows(ctx, edges)
}

// Streams that their clients leave open are bounded as well, and those that were
// admitted go on.
func TestOverloadOfStreams(t *testing.T) {
	graph := &countedGraph{}
	app := startApp(t, func(c *Config) { c.MaxInFlight = admitted }, func(s *engines.Set) {
		graph.Graph = s.Graph
		s.Graph = graph
	})
	client := feedv1.NewGraphServiceClient(dial(t, app.Addresses().GRPC))
	var open []feedv1.GraphService_ImportFollowsClient
	var results []chan error
	for refused := false; !refused; {
		if len(open) > admitted {
			t.Fatalf("%d streams are open, with %d calls allowed", len(open), admitted)
		}
		stream, err := client.ImportFollows(withDeadline(t))
		if err == nil {
			err = stream.Send(follows(int64(len(open)+1), 100))
		}
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- stream.RecvMsg(new(feedv1.ImportFollowsResponse)) }()
		eventually(t, "a stream admitted or refused", func() bool {
			select {
			case err := <-ended:
				wantRetry(t, "ImportFollows", err)
				refused = true
			default:
			}
			return refused || graph.imports.Load() == int64(len(open)+1)
		})
		if !refused {
			open = append(open, stream)
			results = append(results, ended)
		}
	}
	if len(open) == 0 {
		t.Fatal("no stream was admitted")
	}
	for i, stream := range open {
		err := stream.Send(follows(int64(i+1), 101))
		if err == nil {
			err = stream.CloseSend()
		}
		if err == nil {
			err = <-results[i]
		}
		if err != nil {
			t.Errorf("an admitted stream ended with %v", err)
		}
	}
	if n := graph.imports.Load(); n != int64(2*len(open)) {
		t.Errorf("%d messages of %d streams reached storage, want two of each", n, len(open))
	}
}
