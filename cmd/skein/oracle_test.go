package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"skein/cmd/internal/engines"
	"skein/fanout/eventlog"
	"skein/feed"
	"skein/loadgen"
	"skein/loadgen/report"
	"skein/timeline"
)

// judge runs the load generator's oracle against a server with altered engines.
func judge(t *testing.T, alter func(*engines.Set), change func(*loadgen.Config)) (*report.Report, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("a load of several seconds; run without -short")
	}
	t.Parallel()
	config := DefaultConfig()
	config.Engines.DataDir = t.TempDir()
	config.Listen, config.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	app, err := newApp(config, slog.New(slog.DiscardHandler), alter)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(app.Run(ctx), app.Close()) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	}()
	load := loadgen.DefaultConfig()
	load.Targets = []string{app.Addresses().GRPC}
	load.Metrics = []string{"http://" + app.Addresses().Metrics}
	load.Workload, load.Duration, load.Rate, load.ReadShare = loadgen.Spike, 4*time.Second, 300, 0.2
	load.Users, load.Follows, load.Celebrities, load.CelebrityShare = 3000, 60_000, 2, 0.5
	load.Seed = uint64(time.Now().UnixNano())
	t.Logf("seed %d", load.Seed)
	change(&load)
	rep, err := loadgen.Run(t.Context(), load)
	if rep == nil {
		t.Fatalf("no report: %v", err)
	}
	return rep, err
}

func intact(*engines.Set) {}

func figure(t *testing.T, rep *report.Report, name string) float64 {
	t.Helper()
	for _, f := range rep.Figures {
		if f.Name == name && f.Value != nil {
			return *f.Value
		}
	}
	t.Fatalf("the report has no figure %s", name)
	return 0
}

// The demo in small, on a real graph: nothing is violated, and at least half of
// the pairs were pushed, so that it is the fan-out that was proved.
func TestOracleOnARealGraph(t *testing.T) {
	graph, err := filepath.Abs("../../../shared/graphs/socfb-Reed98.edges")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(graph); err != nil {
		t.Skipf("SKIP: NO REAL GRAPH at ../shared/graphs/socfb-Reed98.edges beside the repository: %v", err)
	}
	rep, err := judge(t, intact, func(c *loadgen.Config) {
		c.Graph, c.GraphOptions.Undirected = graph, true
	})
	if err != nil {
		t.Fatal(err)
	}
	checked, pushed := figure(t, rep, "pairs_checked"), figure(t, rep, "pairs_pushed")
	t.Logf("%.0f pairs, %.0f pushed", checked, pushed)
	if checked < 10_000 || pushed < checked/2 {
		t.Errorf("of %.0f pairs %.0f were pushed, want at least half", checked, pushed)
	}
}

// lossy claims to have delivered what it dropped.
type lossy struct {
	timeline.Store
	drop func([]timeline.Delivery) bool
}

func (l lossy) Deliver(ctx context.Context, deliveries []timeline.Delivery) (timeline.Outcome, error) {
	if l.drop(deliveries) {
		return timeline.Outcome{}, nil
	}
	return l.Store.Deliver(ctx, deliveries)
}

// The first broken build: a worker drops one chunk. It does so for two posts, since
// one of them may be deleted before anybody misses it.
func TestOracleFindsADroppedChunk(t *testing.T) {
	var mu sync.Mutex
	dropped := map[feed.PostID]bool{}
	rep, err := judge(t, func(set *engines.Set) {
		set.Timelines = lossy{set.Timelines, func(deliveries []timeline.Delivery) bool {
			mu.Lock()
			defer mu.Unlock()
			chunk := len(deliveries) == 1 && len(deliveries[0].Viewers) > 1000
			if !chunk || dropped[deliveries[0].Post] || len(dropped) == 2 {
				return false
			}
			dropped[deliveries[0].Post] = true
			return true
		}}
	}, withoutProbes)
	if len(dropped) == 0 {
		t.Fatal("there was no chunk to drop")
	}
	wantViolated(t, rep, err)
}

// The second: no worker does anything, though the fan-out says that all is done.
func TestOracleFindsIdleWorkers(t *testing.T) {
	rep, err := judge(t, func(set *engines.Set) {
		set.Timelines = lossy{set.Timelines, func([]timeline.Delivery) bool { return true }}
	}, withoutProbes)
	wantViolated(t, rep, err)
}

// withoutProbes spares the wait for probes of posts that nobody delivers.
func withoutProbes(c *loadgen.Config) { c.NoProbes = true }

func wantViolated(t *testing.T, rep *report.Report, err error) {
	t.Helper()
	if !errors.Is(err, loadgen.ErrViolated) {
		t.Fatalf("the oracle says %v of a broken build", err)
	}
	for _, c := range rep.Checks {
		if c.Violations > 0 {
			t.Logf("%s: %d violations of %d, such as %s", c.Name, c.Violations, c.Tried, c.Examples[0])
		}
		if c.Name == "T1" && c.Violations == 0 {
			t.Error("T1 holds in a build that loses posts")
		}
	}
}

// deaf is a log whose consumers never get anything.
type deaf struct{ eventlog.Log }

func (deaf) Consume(ctx context.Context, _, _ string, _ func(context.Context, eventlog.Partition) error) error {
	<-ctx.Done()
	return nil
}

// With no worker at all, and a top that says so, pages are pulled and right; that
// nothing was pushed is plain from the report.
func TestNoWorkerIsSlowNotWrong(t *testing.T) {
	rep, err := judge(t, func(set *engines.Set) { set.Log = deaf{set.Log} }, func(*loadgen.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	if pushed, checked := figure(t, rep, "pairs_pushed"), figure(t, rep, "pairs_checked"); pushed > 0 || checked == 0 {
		t.Errorf("of %.0f pairs %.0f were pushed, by nobody", checked, pushed)
	}
}
