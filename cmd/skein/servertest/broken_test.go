package servertest

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"skein/cmd/internal/engines"
	"skein/fanout"
	"skein/feed"
	"skein/storage"
	"skein/timeline"
)

// asBrokenWorker makes the test binary a worker with the flaw that it names.
const asBrokenWorker = "TEST_BINARY_IS_BROKEN_WORKER"

// The broken builds.
const (
	lossy = "lossy" // its workers drop one chunk, of one post, when told to
	idle  = "idle"  // delivers nothing, and says that all is done
)

// chunkOf is more viewers than any delivery has that is no chunk of a post to many.
const chunkOf = 1000

// brokenWorker is what `skein serve --role worker` does, but for the flaw. It
// returns when it cannot begin, else never.
func brokenWorker(flaw string, args []string) error {
	config := engines.DefaultConfig()
	flags := flag.NewFlagSet("broken worker", flag.ExitOnError)
	flags.StringVar(&config.Posts, "posts", "", "")
	flags.StringVar(&config.Graph, "graph", "", "")
	flags.StringVar(&config.Log, "log", "", "")
	flags.StringVar(&config.Timelines, "timelines", "", "")
	addresses := flags.String("address-file", "", "written when it works")
	armed := flags.String("armed", "", "file; when it is there, and empty, a lossy worker drops a chunk, and notes the post in it")
	_ = flags.Parse(args) // exits

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	set, err := engines.Open(context.Background(), config, engines.Options{Topics: fanout.Topics(), Clock: time.Now, Logger: log})
	if err != nil {
		return err
	}
	work, err := fanout.New(fanout.Config{
		Posts: set.Posts, Graph: set.Graph, Log: set.Log, Logger: log, Heavy: 16, NoRelay: true,
		Timelines: broken{set.Timelines, flaw, *armed},
		Tiers:     storage.NewTierCopy(set.Graph, time.Now),
	})
	if err == nil {
		err = work.Start()
	}
	if err == nil {
		err = os.WriteFile(*addresses+".unfinished", []byte("{}"), 0o600)
	}
	if err == nil {
		err = os.Rename(*addresses+".unfinished", *addresses)
	}
	if err != nil {
		return err
	}
	select {} // until it is killed
}

// broken claims to have delivered what it dropped.
type broken struct {
	timeline.Store
	flaw, armed string
}

func (b broken) Deliver(ctx context.Context, deliveries []timeline.Delivery) (timeline.Outcome, error) {
	if b.flaw == idle || len(deliveries) == 1 && len(deliveries[0].Viewers) > chunkOf && b.drops(deliveries[0].Post) {
		return timeline.Outcome{}, nil
	}
	return b.Store.Deliver(ctx, deliveries)
}

// drops reports whether to drop a chunk: when armed, one of a post that is younger
// than that, so that nobody has delivered it before; and those of the same post from
// then on, whoever gets them after a rebalance.
func (b broken) drops(post feed.PostID) bool {
	info, err := os.Stat(b.armed)
	if err != nil {
		return false
	}
	if lost, err := os.ReadFile(b.armed); err != nil || len(lost) > 0 {
		return string(lost) == fmt.Sprint(post)
	}
	return post.Time().After(info.ModTime()) && os.WriteFile(b.armed, fmt.Append(nil, post), 0o600) == nil
}

// arm has the workers of the lossy fleet, if it is among those that are loaded,
// drop a chunk of a post that is still to come.
func arm(t *testing.T, loads []*load) {
	t.Helper()
	for _, l := range loads {
		if l.fleet.flaw == lossy {
			must(t, os.WriteFile(l.fleet.armed(), nil, 0o600))
		}
	}
}

// armed is the file that has a lossy worker drop a chunk, and names the post then.
func (f *fleet) armed() string { return filepath.Join(ours.dir, f.name+".armed") }

// dropped reports whether a worker that was armed did.
func (f *fleet) dropped() bool {
	lost, _ := os.ReadFile(f.armed())
	return len(lost) > 0
}
