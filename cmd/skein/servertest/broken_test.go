package servertest

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"time"

	"skein/cmd/internal/engines"
	"skein/fanout"
	"skein/storage"
	"skein/timeline"
)

// asBrokenWorker makes the test binary a worker with the flaw that it names.
const asBrokenWorker = "TEST_BINARY_IS_BROKEN_WORKER"

// The broken builds.
const (
	lossy = "lossy" // drops one chunk, of one post, when told to
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
	armed := flags.String("armed", "", "file; when it is there a lossy worker removes it and drops a chunk")
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
		err = os.WriteFile(*addresses, []byte("{}"), 0o600)
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
	switch {
	case b.flaw == idle:
		return timeline.Outcome{}, nil
	case len(deliveries) == 1 && len(deliveries[0].Viewers) > chunkOf && os.Remove(b.armed) == nil:
		return timeline.Outcome{}, nil
	}
	return b.Store.Deliver(ctx, deliveries)
}

// arm has the fleet's worker drop the next chunk.
func (f *fleet) arm() error { return os.WriteFile(f.armed(), nil, 0o600) }

// dropped reports whether it has.
func (f *fleet) dropped() bool {
	_, err := os.Stat(f.armed())
	return err != nil && !os.IsPermission(err)
}
