package server_test

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"skein/feed"
	"skein/feed/policy"
	"skein/feed/server"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
	"skein/storage/embedded"
	"skein/timeline"
	"skein/timeline/memory"
)

// tb is what the rig needs of a test, a property test or a benchmark.
type tb interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Context() context.Context
	Cleanup(func())
}

// rig is a server with real engines, spoken to over gRPC. The test plays the
// fan-out, so that it can stop at any point of it.
type rig struct {
	tb
	feedv1.PostServiceClient
	feedv1.GraphServiceClient
	feedv1.TimelineServiceClient
	store     *embedded.Store
	graph     *askedGraph
	posts     *hookedPosts
	timelines *hookedTimelines
	fanout    *testFanout
	clock     *testClock
	tiers     *storage.TierCopy
	conn      *grpc.ClientConn
}

type rigOptions struct {
	cap  int
	grpc []grpc.ServerOption
	log  slog.Handler // nil: nobody reads it
}

func newRig(t tb, o rigOptions) *rig {
	t.Helper()
	r := &rig{tb: t, clock: &testClock{now: feed.Epoch.Add(1000 * time.Hour)}}
	log := slog.New(cmp.Or[slog.Handler](o.log, slog.DiscardHandler))
	store, err := embedded.Open("storage", embedded.Options{FS: vfs.NewMem(), Clock: r.clock.Now, Logger: log})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	r.store = store
	r.graph = &askedGraph{Graph: store}
	r.posts = &hookedPosts{Posts: store}
	r.timelines = &hookedTimelines{Store: memory.New(memory.Options{Cap: o.cap, Clock: r.clock.Now})}
	r.fanout = &testFanout{}
	r.fanout.top.Store(int64(feed.MaxPostID))
	r.tiers = storage.NewTierCopy(store, r.clock.Now)
	s, err := server.New(t.Context(), server.Config{
		Posts: r.posts, Graph: r.graph, Timelines: r.timelines, Fanout: r.fanout, Tiers: r.tiers,
		Clock: r.clock.Now, Logger: log, TimelineCap: o.cap,
	})
	must(t, err)
	t.Cleanup(s.Close)
	conn, _ := serve(t, s, log, o.grpc...)
	r.conn = conn
	r.PostServiceClient = feedv1.NewPostServiceClient(conn)
	r.GraphServiceClient = feedv1.NewGraphServiceClient(conn)
	r.TimelineServiceClient = feedv1.NewTimelineServiceClient(conn)
	return r
}

// serve serves s until the test ends, or stop is called.
func serve(t tb, s *server.Server, log *slog.Logger, options ...grpc.ServerOption) (conn *grpc.ClientConn, stop func()) {
	g := grpc.NewServer(append(options, grpc.ForceServerCodecV2(server.Codec()), grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(server.UnaryErrors(log)), grpc.StreamInterceptor(server.StreamErrors(log)))...)
	s.Register(g)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = g.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:rig",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	stop = func() {
		_ = conn.Close() // fails the second time
		g.Stop()
	}
	t.Cleanup(stop)
	return conn, stop
}

func must(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// users makes users 1 to n.
func (r *rig) users(n int64) {
	r.Helper()
	for id := range n {
		_, err := r.CreateUser(r.Context(), &feedv1.CreateUserRequest{Id: id + 1})
		must(r, err)
	}
}

func (r *rig) follow(viewer, author int64) {
	r.Helper()
	_, err := r.Follow(r.Context(), &feedv1.FollowRequest{ViewerId: viewer, AuthorId: author})
	must(r, err)
}

func (r *rig) unfollow(viewer, author int64) {
	r.Helper()
	_, err := r.Unfollow(r.Context(), &feedv1.UnfollowRequest{ViewerId: viewer, AuthorId: author})
	must(r, err)
}

func (r *rig) post(author int64) int64 {
	r.Helper()
	r.clock.Add(time.Millisecond)
	p, err := r.CreatePost(r.Context(), &feedv1.CreatePostRequest{AuthorId: author, Text: "honk"})
	must(r, err)
	return p.GetId()
}

func (r *rig) delete(author, id int64) {
	r.Helper()
	_, err := r.DeletePost(r.Context(), &feedv1.DeletePostRequest{AuthorId: author, Id: id})
	must(r, err)
}

// list and deliver are the two halves of a worker's job.
func (r *rig) list(author int64) []feed.UserID {
	r.Helper()
	followers, err := r.store.ListFollowers(r.Context(), feed.UserID(author), feed.AllHashes, 1<<20, nil)
	must(r, err)
	return followers
}

func (r *rig) deliver(id int64, viewers []feed.UserID) {
	r.Helper()
	_, err := r.timelines.Deliver(r.Context(), []timeline.Delivery{{Post: feed.PostID(id), Viewers: viewers}})
	must(r, err)
}

// pushed posts and fans out.
func (r *rig) pushed(author int64) int64 {
	r.Helper()
	id := r.post(author)
	r.deliver(id, r.list(author))
	return id
}

// loud makes author loud, and waits until that is in effect.
func (r *rig) loud(author int64) {
	r.Helper()
	from := feed.IDAt(r.clock.Now().Add(policy.Lead + time.Second))
	must(r, r.store.ChangeTier(r.Context(), feed.UserID(author), nil, policy.History{{From: from, Tier: policy.Loud}}))
	r.clock.Add(policy.Lead + 2*time.Second)
}

// page reads one page.
func (r *rig) page(viewer int64, size int32, token string) *feedv1.GetHomeTimelineResponse {
	r.Helper()
	page, err := r.GetHomeTimeline(r.Context(), &feedv1.GetHomeTimelineRequest{
		ViewerId: viewer, PageSize: size, PageToken: token, Explain: true,
	})
	must(r, err)
	return page
}

// scroll reads a whole home timeline.
func (r *rig) scroll(viewer int64, size int32) (ids []int64, sources []feedv1.Source) {
	r.Helper()
	token := ""
	for range 10_000 {
		page := r.page(viewer, size, token)
		if len(page.GetSources()) != len(page.GetPosts()) {
			r.Fatalf("%d sources for %d posts", len(page.GetSources()), len(page.GetPosts()))
		}
		for i, p := range page.GetPosts() {
			ids, sources = append(ids, p.GetId()), append(sources, page.GetSources()[i])
		}
		if token = page.GetNextPageToken(); token == "" {
			return ids, sources
		}
	}
	r.Fatal("the scroll does not end")
	return nil, nil
}

// wantHome scrolls and compares; want is newest first.
func (r *rig) wantHome(viewer int64, want ...int64) []feedv1.Source {
	r.Helper()
	got, sources := r.scroll(viewer, 50)
	if !slices.Equal(got, want) {
		r.Fatalf("the home timeline of %d is\n%v, want\n%v", viewer, got, want)
	}
	return sources
}

type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *testClock) Add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// testFanout says what the test lets it say.
type testFanout struct {
	top   atomic.Int64
	aside atomic.Pointer[[]feed.Ref]
	woken atomic.Int64
}

func (f *testFanout) Wake() { f.woken.Add(1) }

func (f *testFanout) Progress(int) (feed.PostID, []feed.Ref) {
	if aside := f.aside.Load(); aside != nil {
		return feed.PostID(f.top.Load()), *aside
	}
	return feed.PostID(f.top.Load()), nil
}

// hookedPosts runs the test's code right after a read of storage, which is where
// the interleavings lie.
type hookedPosts struct {
	storage.Posts
	afterNewest atomic.Pointer[func()]
	afterGets   atomic.Pointer[func()]
	failGets    atomic.Int64 // fail that many GetPosts
	passGets    atomic.Int64 // after letting that many pass
	failNewest  atomic.Int64 // fail that many Newest
}

func (p *hookedPosts) Newest(ctx context.Context, ranges []storage.Range, limit int) ([]feed.Ref, error) {
	if p.failNewest.Add(-1) >= 0 {
		return nil, feed.Unavailable("read authors' posts", context.DeadlineExceeded)
	}
	refs, err := p.Posts.Newest(ctx, ranges, limit)
	if hook := p.afterNewest.Swap(nil); hook != nil {
		(*hook)()
	}
	return refs, err
}

func (p *hookedPosts) GetPosts(ctx context.Context, ids []feed.PostID) ([]feed.Post, error) {
	if p.passGets.Add(-1) < 0 && p.failGets.Add(-1) >= 0 {
		return nil, feed.Unavailable("read posts", context.DeadlineExceeded)
	}
	posts, err := p.Posts.GetPosts(ctx, ids)
	if hook := p.afterGets.Swap(nil); hook != nil {
		(*hook)()
	}
	return posts, err
}

// once makes hook run after the next Newest.
func (p *hookedPosts) once(hook func()) { p.afterNewest.Store(&hook) }

// hookedTimelines counts builds and can be down. It has two shards, each with
// positions of its own, though what is stored knows one.
type hookedTimelines struct {
	timeline.Store
	creates, reads atomic.Int64
	down           atomic.Bool
	afterRead      atomic.Pointer[func()]
}

var errDown = feed.Unavailable("ask the timelines", context.DeadlineExceeded)

func (h *hookedTimelines) Read(ctx context.Context, q timeline.Query) (timeline.Page, error) {
	h.reads.Add(1)
	if h.down.Load() {
		return timeline.Page{}, errDown
	}
	page, err := h.Store.Read(ctx, q)
	page.Shard = h.Shard(q.Viewer)
	page.Deletes += uint64(page.Shard) << 32
	if hook := h.afterRead.Swap(nil); hook != nil {
		(*hook)()
	}
	return page, err
}

func (h *hookedTimelines) Shards() int { return 2 }

func (h *hookedTimelines) Shard(viewer feed.UserID) int { return int(viewer) % 2 }

func (h *hookedTimelines) DeletedSince(ctx context.Context, shard int, position uint64) (timeline.Deletes, error) {
	return h.Store.DeletedSince(ctx, 0, position-uint64(shard)<<32)
}

func (h *hookedTimelines) Create(ctx context.Context, viewer feed.UserID, life uint64) (timeline.Token, bool, error) {
	if h.down.Load() {
		return 0, false, errDown
	}
	token, ok, err := h.Store.Create(ctx, viewer, life)
	if ok {
		h.creates.Add(1)
	}
	return token, ok, err
}
