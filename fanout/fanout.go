// Package fanout carries posts from the outbox into home timelines: it relays
// events to the event log, plans each post's deliveries, and delivers. It is the
// only writer of pushed entries. It serves no reads; what readers need of it is
// the top and the list of posts set aside.
//
//	outbox ─relay─► posts ─planner─┬─ few followers ──────────────► timelines
//	                               ├─ many: chunks ► large ─worker─►    ▲
//	                               ├─ very many  ► bulk  ─worker─►      │
//	                               └─ loud: nothing         parked ─────┘
//
// Each of posts, large, bulk and parked is a topic of the log and a lane: it has
// consumers of its own, so that none waits for another (F3). A record is
// committed when all of its deliveries are done, parked, or cut into chunks that
// are durable; a crash repeats the batches in flight and skips none (F1, F2).
//
// # Failures
//
//	an engine cannot be asked   the batch is tried again, with growing pauses,
//	                            until it can; the log keeps what waits (F4)
//	one shard of the timelines  its deliveries go to the lane parked and its
//	fails                       top stays behind; the other shards go on (F3)
//	a record cannot be handled  it is set aside with the reason; its post is
//	                            pulled from then on (F5)
//	the log lost records        a new life begins: every timeline is rebuilt
//
// # How to stop
//
// Stop first ends the fetching: each consumer finishes the batch at hand and
// commits it. When its context ends before that, the work itself is aborted.
package fanout

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/storage"
	"skein/timeline"
)

// Config is what the fan-out works on. All fields without a default are required.
type Config struct {
	Posts     storage.Posts
	Graph     storage.Graph
	Timelines timeline.Store
	Log       eventlog.Log
	Tiers     *storage.TierCopy
	// Logger is slog.Default() by default.
	Logger *slog.Logger
	// Registerer takes the metrics; none are registered by default.
	Registerer prometheus.Registerer
	// Heavy bounds the chunks of bulk worked on at once, and half of it, but at
	// least one, those of the large lane. It is half of GOMAXPROCS by default, so
	// that a post to millions leaves processors to readers and to small posts.
	// Where engines are servers, and a worker mostly waits for them, more is
	// right.
	Heavy int
	// NoRelay and NoWork say what this process leaves to others.
	NoRelay, NoWork bool
	// Sweep is how often the outbox is looked at without being woken, for events of
	// processes that died before they could wake anybody; 1 s by default.
	Sweep time.Duration
}

// Fanout is a running fan-out. Start and Stop it once; the other methods are safe
// for concurrent use.
type Fanout struct {
	cfg      Config
	metrics  *metrics
	progress *progress
	wake     chan struct{} // capacity 1: an event waits in the outbox

	// fetching ends when Stop is called, working when Stop's context ends.
	fetching, working          context.Context
	stopFetching, abortWorking context.CancelFunc
	running                    sync.WaitGroup
}

// New makes a fan-out that does nothing until Start.
func New(cfg Config) (*Fanout, error) {
	if cfg.Posts == nil || cfg.Graph == nil || cfg.Timelines == nil || cfg.Log == nil || cfg.Tiers == nil {
		return nil, errors.New("fanout: Posts, Graph, Timelines, Log and Tiers are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Heavy <= 0 {
		cfg.Heavy = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if cfg.Sweep <= 0 {
		cfg.Sweep = time.Second
	}
	f := &Fanout{cfg: cfg, wake: make(chan struct{}, 1)}
	f.metrics = newMetrics(cfg.Registerer)
	f.progress = newProgress(cfg, f.metrics)
	f.fetching, f.stopFetching = context.WithCancel(context.Background())
	f.working, f.abortWorking = context.WithCancel(context.Background())
	return f, nil
}

// startPatience is how long Start waits for the log's first answer: one that opens and
// then hangs is told of soon.
const startPatience = 8 * time.Second

// Start asks how far delivery got, so that Progress is right from the first read on,
// and begins to work. It fails if the log does not answer within startPatience. What
// was set aside it then reads to its end, however much that is.
func (f *Fanout) Start() error {
	ctx, cancel := context.WithTimeout(f.fetching, startPatience)
	defer cancel()
	if _, err := f.cfg.Log.Pending(ctx, Group, topicPosts); err != nil {
		return err
	}
	if err := f.progress.refresh(f.fetching); err != nil {
		return err
	}
	f.run(f.progress.run)
	f.run(f.progress.measureOutbox)
	if !f.cfg.NoRelay {
		f.run(f.relay)
	}
	if !f.cfg.NoWork {
		for _, lane := range f.lanes() {
			f.run(func(ctx context.Context) { f.consume(ctx, lane) })
		}
	}
	return nil
}

// run runs work in a goroutine that Stop waits for.
func (f *Fanout) run(work func(context.Context)) {
	f.running.Add(1)
	go func() {
		defer f.running.Done()
		work(f.fetching)
	}()
}

// Stop ends the fan-out and returns when nothing of it runs any more. Batches in
// flight are finished and committed, unless ctx ends first; then they will be
// repeated. It may be called twice, and without Start.
func (f *Fanout) Stop(ctx context.Context) error {
	f.stopFetching()
	aborted := context.AfterFunc(ctx, f.abortWorking)
	f.running.Wait()
	inTime := aborted()
	f.abortWorking()
	if !inTime {
		return context.Cause(ctx)
	}
	return nil
}

// Wake says that an event waits in the outbox. It never blocks.
func (f *Fanout) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Progress returns the delivered-through id for a shard of the timelines, and the
// posts that were set aside, newest first: every post below top that is pushed
// has been delivered, or is in aside. top is some seconds behind the newest ids at
// best, and never ahead of the truth. The caller must not change the slice.
func (f *Fanout) Progress(shard int) (top feed.PostID, aside []feed.Ref) {
	return f.progress.of(shard)
}
