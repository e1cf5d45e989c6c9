package fanout_test

import (
	"context"
	"sync/atomic"
	"testing"

	"skein/feed"
	"skein/storage"
)

// Trap "the log that forgets": lost records begin a new life, in which no old
// timeline counts.
func TestALogThatForgets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.followers(author, 10)
	r.log.gap.Store(true)
	f, _ := r.start()
	r.post(author)
	f.Wake()
	r.eventually("a new life begins", func() bool {
		view, err := r.tiers.View(context.Background())
		return err == nil && view.Life == 1
	})
}

// A log may tell a gap only once (a topic that was made again has no commits): the
// new life begins although storage fails at first, several times.
func TestAGapOutlastsStorage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	graph := &failingLives{Graph: r.store}
	graph.failures.Store(3)
	r.graph = graph
	r.followers(author, 10)
	r.log.gap.Store(true)
	f, _ := r.start()
	r.post(author)
	f.Wake()
	r.eventually("a new life begins", func() bool {
		view, err := r.tiers.View(context.Background())
		return err == nil && view.Life == 1 && graph.failures.Load() < 0
	})
}

// failingLives is a graph that cannot begin lives at first.
type failingLives struct {
	storage.Graph
	failures atomic.Int64
}

func (g *failingLives) BeginLife(ctx context.Context, old storage.Life) (storage.Life, error) {
	if g.failures.Add(-1) >= 0 {
		return 0, feed.Unavailable("begin a life", context.DeadlineExceeded)
	}
	return g.Graph.BeginLife(ctx, old)
}
