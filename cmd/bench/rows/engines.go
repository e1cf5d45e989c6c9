package rows

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/cmd/internal/engines"
	"skein/cmd/internal/threads"
	"skein/deploy/local/servers"
	"skein/fanout"
)

// on names the engines of a row that are servers, as package servers does. Those
// that it does not name are inside this process.
type on []string

var (
	inProcess on
	onRedis   = on{servers.Redis}
	onServers = on{servers.Postgres, servers.Kafka, servers.Redis}
)

// timelines and storage are what rows are called after.
func (o on) timelines() string { return o.name(servers.Redis, "memory") }
func (o on) storage() string   { return o.name(servers.Postgres, "embedded") }

func (o on) name(server, without string) string {
	if slices.Contains(o, server) {
		return server
	}
	return without
}

// heavy is how many chunks are worked on at once, as skein serve has it.
func (o on) heavy() int {
	if len(o) == len(onServers) {
		return 16
	}
	return max(1, threads.Processors/2)
}

// stopTime is how long a server may take to end in order.
const stopTime = 30 * time.Second

// running are the servers of one row, each by its name.
type running map[string]*servers.Server

// start starts servers, all at once, each in a folder of its own below dir. The
// row must stop them. When this process dies they do.
func (o on) start(ctx context.Context, dir string) (running, error) {
	started := make([]*servers.Server, len(o))
	group, starting := errgroup.WithContext(ctx)
	for i, name := range o {
		group.Go(func() (err error) {
			started[i], err = servers.Start(starting, servers.Spec{Engine: name, Dir: filepath.Join(dir, name)})
			return err
		})
	}
	err := group.Wait()
	r := running{}
	for i, server := range started {
		if server != nil {
			r[o[i]] = server
		}
	}
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// stop stops all servers, whatever the context of the row.
func (r running) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	var group errgroup.Group
	for _, server := range r {
		group.Go(func() error { return server.Stop(ctx) })
	}
	return group.Wait()
}

// open opens the engines, on the servers that run and in dir, after making schemas
// and topics where they are missing.
func (r running) open(ctx context.Context, b *Bench, dir string) (*engines.Set, error) {
	c := engines.DefaultConfig()
	c.DataDir = filepath.Join(dir, "data")
	c.TimelineBytes = 64 << 30 // nothing is evicted: what a row makes live stays so
	for name, url := range map[string][]*string{
		servers.Postgres: {&c.Posts, &c.Graph},
		servers.Kafka:    {&c.Log},
		servers.Redis:    {&c.Timelines},
	} {
		if server, ok := r[name]; ok {
			for _, setting := range url {
				*setting = server.URL()
			}
		}
	}
	options := engines.Options{Topics: fanout.Topics(), Clock: time.Now, Logger: b.Log}
	if err := engines.Migrate(ctx, c, options, func(string) {}); err != nil {
		return nil, err
	}
	return engines.Open(ctx, c, options)
}

// folder makes a new folder for a row.
func (b *Bench) folder() (string, error) { return os.MkdirTemp(b.Dir, "bench-") }
