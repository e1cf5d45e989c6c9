package fanout_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"skein/fanout"
	"skein/fanout/eventlog"
	logembedded "skein/fanout/eventlog/embedded"
	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
	"skein/storage/embedded"
	"skein/timeline"
	"skein/timeline/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is the engines of a fan-out. They outlive the fan-outs that a test starts,
// kills and starts again.
type rig struct {
	*testing.T
	store     *embedded.Store
	graph     storage.Graph // store, unless a test sets another
	log       *testLog
	timelines *testTimelines
	ids       *feed.IDs
	tiers     *storage.TierCopy
	// registerer takes the metrics; nil for none. heavy is Config.Heavy.
	registerer prometheus.Registerer
	heavy      int
	sweep      time.Duration // Config.Sweep
}

func newRig(t *testing.T) *rig {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	store, err := embedded.Open("storage", embedded.Options{FS: vfs.NewMem(), Logger: quiet})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	log, err := logembedded.Open("log", fanout.Topics(), logembedded.Options{FS: vfs.NewMem(), Logger: quiet})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	return &rig{
		T: t, store: store, graph: store, log: &testLog{Log: log},
		timelines: &testTimelines{Store: memory.New(memory.Options{}), shards: 1},
		ids:       feed.NewIDs(store, time.Now),
		tiers:     storage.NewTierCopy(store, time.Now),
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start runs a fan-out; the function that it returns kills it: it does not wait
// for batches in flight.
func (r *rig) start() (*fanout.Fanout, func()) {
	r.Helper()
	f, kill := r.prepare()
	must(r.T, f.Start())
	return f, kill
}

// prepare is start without Start.
func (r *rig) prepare() (*fanout.Fanout, func()) {
	r.Helper()
	f, err := fanout.New(fanout.Config{
		Posts: r.store, Graph: r.graph, Timelines: r.timelines, Log: r.log, Tiers: r.tiers,
		Logger: slog.New(slog.DiscardHandler), Registerer: r.registerer, Heavy: r.heavy, Sweep: r.sweep,
	})
	must(r.T, err)
	kill := func() {
		dead, cancel := context.WithCancel(context.Background())
		cancel()
		_ = f.Stop(dead)
	}
	r.Cleanup(kill)
	return f, kill
}

func topOf(f *fanout.Fanout, shard int) feed.PostID {
	top, _ := f.Progress(shard)
	return top
}

func asideOf(f *fanout.Fanout) []feed.Ref {
	_, aside := f.Progress(0)
	return aside
}

// followers makes viewers 1 to n follow author, each with a live timeline.
func (r *rig) followers(author feed.UserID, n int) []feed.UserID {
	r.Helper()
	viewers := r.follow(author, n)
	for _, v := range viewers {
		r.build(v)
	}
	return viewers
}

// follow makes viewers 1 to n follow author.
func (r *rig) follow(author feed.UserID, n int) []feed.UserID {
	r.Helper()
	var edges []feed.Follow
	viewers := make([]feed.UserID, n)
	for i := range n {
		viewers[i] = feed.UserID(i + 1)
		edges = append(edges, feed.Follow{Viewer: viewers[i], Author: author})
	}
	for part := range slices.Chunk(edges, storage.MaxImport) {
		_, err := r.store.ImportFollows(context.Background(), part)
		must(r.T, err)
	}
	return viewers
}

func (r *rig) build(viewer feed.UserID) {
	r.Helper()
	token, _, err := r.timelines.Create(context.Background(), viewer, 0)
	must(r.T, err)
	_, err = r.timelines.Finish(context.Background(), viewer, token, nil, 0, 1)
	must(r.T, err)
}

func (r *rig) post(author feed.UserID) feed.PostID {
	r.Helper()
	id, err := r.ids.Next(context.Background())
	must(r.T, err)
	_, err = r.store.CreatePost(context.Background(), storage.Draft{Post: feed.Post{ID: id, Author: author, Text: "honk"}})
	must(r.T, err)
	return id
}

// has reports whether a viewer's timeline has a post.
func (r *rig) has(viewer feed.UserID, id feed.PostID) bool {
	page, err := r.timelines.Read(context.Background(), timeline.Query{Viewer: viewer, Before: id + 1, Limit: 1})
	if err != nil {
		return false
	}
	return len(page.Entries) == 1 && page.Entries[0].ID() == id
}

// missing returns how many of viewers lack a post.
func (r *rig) missing(id feed.PostID, viewers []feed.UserID) (n int) {
	for _, v := range viewers {
		if !r.has(v, id) {
			n++
		}
	}
	return n
}

// eventually waits for a condition.
func (r *rig) eventually(what string, condition func() bool) {
	r.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			r.Fatalf("after 30 s still not: %s", what)
		}
		time.Sleep(2 * time.Millisecond) // a poll, not a guess at how long it takes
	}
}

// testTimelines are timelines that can fail: a shard at a time, or as the hook
// says.
type testTimelines struct {
	timeline.Store
	shards   int
	failing  atomic.Pointer[map[int]bool]
	hook     atomic.Pointer[func([]timeline.Delivery) error]
	repeats  atomic.Int64
	barriers atomic.Int64
	away     atomic.Bool // no barrier succeeds
	// deposed: a barrier fails if something was delivered since its mark, as in a
	// cluster, where those masters are asked that were used.
	deposed   atomic.Bool
	delivered atomic.Uint64
}

func (s *testTimelines) Shards() int { return s.shards }

func (s *testTimelines) Shard(viewer feed.UserID) int { return int(viewer) % s.shards }

func (s *testTimelines) Mark() timeline.Mark { return timeline.Mark(s.delivered.Load()) }

func (s *testTimelines) Barrier(ctx context.Context, mark timeline.Mark) error {
	s.barriers.Add(1)
	if s.away.Load() || s.deposed.Load() && s.Mark() != mark {
		return feed.Unavailable("wait for the timelines", context.DeadlineExceeded)
	}
	return s.Store.Barrier(ctx, s.Store.Mark())
}

func (s *testTimelines) Deliver(ctx context.Context, deliveries []timeline.Delivery) (timeline.Outcome, error) {
	if hook := s.hook.Load(); hook != nil {
		if err := (*hook)(deliveries); err != nil {
			return timeline.Outcome{}, err
		}
	}
	var undelivered []timeline.Undelivered
	if failing := s.failing.Load(); failing != nil {
		deliveries, undelivered = s.without(*failing, deliveries)
	}
	outcome, err := s.Store.Deliver(ctx, deliveries)
	s.delivered.Add(1)
	s.repeats.Add(outcome.Repeats)
	outcome.Undelivered = undelivered
	return outcome, err
}

func (s *testTimelines) without(failing map[int]bool, deliveries []timeline.Delivery) ([]timeline.Delivery, []timeline.Undelivered) {
	kept := make([]timeline.Delivery, 0, len(deliveries))
	byShard := map[int][]timeline.Delivery{}
	for _, d := range deliveries {
		viewers := map[int][]feed.UserID{}
		for _, v := range d.Viewers {
			viewers[s.Shard(v)] = append(viewers[s.Shard(v)], v)
		}
		for shard, list := range viewers {
			part := timeline.Delivery{Post: d.Post, Viewers: list}
			if failing[shard] {
				byShard[shard] = append(byShard[shard], part)
			} else {
				kept = append(kept, part)
			}
		}
	}
	var undelivered []timeline.Undelivered
	for shard, list := range byShard {
		undelivered = append(undelivered, timeline.Undelivered{Shard: shard, Deliveries: list, Err: context.DeadlineExceeded})
	}
	return kept, undelivered
}

func (s *testTimelines) fail(shards ...int) {
	failing := map[int]bool{}
	for _, shard := range shards {
		failing[shard] = true
	}
	s.failing.Store(&failing)
}

// testLog is a log that can be down, or claim to have lost records.
type testLog struct {
	eventlog.Log
	down atomic.Bool
	mute atomic.Bool // does not tell what is pending
	hung atomic.Bool // nor that it does not
	gap  atomic.Bool
	// appended holds the keys and partitions of what was appended, by topic.
	mu       sync.Mutex
	appended map[string][]eventlog.Record
}

func (l *testLog) Append(ctx context.Context, topic string, records ...eventlog.Record) error {
	if l.down.Load() {
		return feed.Unavailable("append to the log", context.DeadlineExceeded)
	}
	for _, r := range records { // as Kafka, by default
		if size := len(r.Key) + len(r.Value); size > 1<<20 {
			return feed.Invalid(feed.Violation{Field: "records", Description: "has one that is too large"})
		}
	}
	l.mu.Lock()
	if l.appended == nil {
		l.appended = map[string][]eventlog.Record{}
	}
	l.appended[topic] = append(l.appended[topic], records...)
	l.mu.Unlock()
	return l.Log.Append(ctx, topic, records...)
}

func (l *testLog) Pending(ctx context.Context, group, topic string) ([]eventlog.Pending, error) {
	if l.hung.Load() {
		<-ctx.Done()
		return nil, feed.Unavailable("ask the log", ctx.Err())
	}
	if l.mute.Load() {
		return nil, feed.Unavailable("ask the log", context.DeadlineExceeded)
	}
	return l.Log.Pending(ctx, group, topic)
}

func (l *testLog) records(topic string) []eventlog.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.appended[topic])
}

func (l *testLog) Consume(ctx context.Context, group, topic string, handle func(context.Context, eventlog.Partition) error) error {
	return l.Log.Consume(ctx, group, topic, func(ctx context.Context, p eventlog.Partition) error {
		return handle(ctx, &testPartition{Partition: p, log: l})
	})
}

type testPartition struct {
	eventlog.Partition
	log *testLog
}

func (p *testPartition) Fetch(ctx context.Context, limit int) (eventlog.Batch, error) {
	batch, err := p.Partition.Fetch(ctx, limit)
	batch.Gap = batch.Gap || err == nil && p.log.gap.Swap(false)
	return batch, err
}

// settings replaces the push/pull settings.
func (r *rig) settings(mode policy.Mode, loudAt int64) {
	r.Helper()
	must(r.T, r.store.PutSettings(context.Background(), policy.Settings{Mode: mode, LoudAt: loudAt}))
	r.tiers.Forget()
}
