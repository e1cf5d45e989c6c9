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
	inProcess   on
	onRedis     = on{servers.Redis}
	onServers   = on{servers.Postgres, servers.Kafka, servers.Redis}
	onCluster   = on{servers.Postgres, servers.Kafka, servers.RedisCluster}
	onCassandra = on{servers.Cassandra}
	// onAll spreads all that grows with the use of it; users and follows are in
	// PostgreSQL.
	onAll = on{servers.Postgres, servers.Cassandra, servers.Kafka, servers.RedisCluster}
)

func (o on) has(server string) bool { return slices.Contains(o, server) }

// timelines and posts are what rows are called after.
func (o on) timelines() string {
	switch {
	case o.has(servers.RedisCluster):
		return "cluster"
	case o.has(servers.Redis):
		return servers.Redis
	}
	return "memory"
}

// redis is the name of the server that has the timelines.
func (o on) redis() string {
	if o.has(servers.RedisCluster) {
		return servers.RedisCluster
	}
	return servers.Redis
}

func (o on) posts() string {
	for _, name := range []string{servers.Cassandra, servers.Postgres} {
		if o.has(name) {
			return name
		}
	}
	return "embedded"
}

// heavy is how many chunks are worked on at once, as skein serve has it.
func (o on) heavy() int {
	if o.has(servers.Kafka) {
		return 16
	}
	return max(1, threads.Processors/2)
}

// engine is a server, or a cluster of them.
type engine interface {
	URL() string
	Version() string
	CPU() time.Duration
	Stop(context.Context) error
}

// stopTime is how long a server may take to end in order.
const stopTime = 30 * time.Second

// running are the servers of one row, each by its name.
type running map[string]engine

// start starts servers, all at once, each in a folder of its own below dir. The
// row must stop them. When this process dies they do.
func (b *Bench) start(ctx context.Context, o on, dir string) (running, error) {
	started := make([]engine, len(o))
	group, starting := errgroup.WithContext(ctx)
	for i, name := range o {
		group.Go(func() (err error) {
			started[i], err = b.startOne(starting, name, filepath.Join(dir, name))
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

// startOne starts a server, or a cluster of masters without replicas. It returns nil
// after an error.
func (b *Bench) startOne(ctx context.Context, name, dir string) (engine, error) {
	if name == servers.RedisCluster {
		c, err := servers.StartRedisCluster(ctx, servers.ClusterSpec{Dir: dir})
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	s, err := servers.Start(ctx, servers.Spec{Engine: name, Dir: dir, Brief: b.Brief})
	if err != nil {
		return nil, err
	}
	return s, nil
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
	for _, use := range []struct {
		server   string
		settings []*string
	}{
		{servers.Postgres, []*string{&c.Posts, &c.Graph}},
		{servers.Cassandra, []*string{&c.Posts}},
		{servers.Kafka, []*string{&c.Log}},
		{servers.Redis, []*string{&c.Timelines}},
		{servers.RedisCluster, []*string{&c.Timelines}},
	} {
		if server, ok := r[use.server]; ok {
			for _, setting := range use.settings {
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
