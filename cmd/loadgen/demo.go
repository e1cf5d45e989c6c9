package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skein/deploy/local/servers"
	"skein/loadgen"
)

// demoOptions is the show on two cores in less than 90 seconds, with at least a
// million pairs checked, most of them pushed.
func demoOptions() options {
	o := options{Config: loadgen.DefaultConfig(), out: filepath.Join("out", "demo")}
	o.Workload = loadgen.Spike
	o.Users, o.Follows = 50_000, 2_000_000
	o.Rate, o.ReadShare = 1000, 0.3
	o.Duration = 24 * time.Second
	return o
}

// dyingTakes is how long after its last answer a server may be found dead.
const dyingTakes = 200 * time.Millisecond

func (p *program) demoCommand() *cobra.Command {
	o := demoOptions()
	skein, kind, graph := "", embedded, ""
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start a server, let celebrities post into a busy day, and check every timeline",
		Long: `Start a server, let celebrities post into a busy day, and check every timeline.

With --engines servers it starts PostgreSQL, Kafka and Redis for itself, two API servers
and two workers over them, and loads both API servers: with 10,000 users, 400,000 follows
and 300 calls a second, unless told otherwise. With --engines cluster posts are in
Cassandra and timelines in a Redis Cluster of three masters with replicas, at 80 calls a
second; with --graph-engine cassandra there are 5,000 users, 100,000 follows and 50. What
of these engines is not installed is fetched once.`,
		Example: `  loadgen demo
  loadgen demo --engines servers`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.checkGraph(c.Flags()); err != nil {
				return err
			}
			on, err := o.chooseEngines(c.Flags(), kind, graph)
			if err != nil {
				return err
			}
			return p.demo(c.Context(), o, skein, on)
		},
	}
	o.bindLoad(c.Flags())
	c.Flags().StringVar(&kind, "engines", kind, "what the servers keep their data in: embedded, servers, or cluster")
	c.Flags().StringVar(&graph, "graph-engine", "", "what keeps users and follows on servers or a cluster: postgres (the default), or cassandra")
	c.Flags().StringVar(&skein, "skein", "", "`path` of the skein program (default: beside this one, else bin/skein)")
	return c
}

// chooseEngines returns the engines of a kind, with another one for the graph unless
// that is "", and makes the show fit them: as processes on the same two cores, unless
// it was told otherwise.
func (o *options) chooseEngines(given *pflag.FlagSet, kind, graph string) (backends, error) {
	on, known := kinds[kind]
	switch {
	case !known:
		return on, fmt.Errorf("%w: --engines is %q; embedded, servers or cluster", loadgen.ErrConfig, kind)
	case kind == embedded && graph != "":
		return on, fmt.Errorf("%w: --graph-engine is for --engines servers and cluster", loadgen.ErrConfig)
	case kind == embedded:
		return on, nil
	case graph == servers.Postgres || graph == servers.Cassandra:
		on.graph = graph
	case graph != "":
		return on, fmt.Errorf("%w: --graph-engine is %q; postgres or cassandra", loadgen.ErrConfig, graph)
	}
	users, follows, rate := 10_000, int64(400_000), 300.0
	if on.posts == servers.Cassandra { // of whose node two cores are most of the load
		rate = 80
	}
	if on.graph == servers.Cassandra {
		users, follows, rate = 5_000, 100_000, 50
	}
	if !given.Changed("users") {
		o.Users = users
	}
	if !given.Changed("follows") {
		o.Follows = follows
	}
	if !given.Changed("rate") {
		o.Rate = rate
	}
	return on, nil
}

// demo runs o against processes of its own, which it leaves nothing of.
func (p *program) demo(ctx context.Context, o options, skein string, on backends) (err error) {
	if err := o.Validate(); err != nil {
		return err
	}
	if skein == "" {
		skein = findSkein()
	}
	dir, err := os.MkdirTemp("", "skein-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a folder for the server's data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(p.stderr, "starting %s on data in %s\n", skein, dir)
	site := &site{skein: skein, dir: dir, stderr: p.stderr}
	defer func() { err = errors.Join(err, site.stop()) }()
	if err := site.start(ctx, on); err != nil {
		return err
	}
	o.Targets, o.Metrics = site.targets(), site.metrics()

	// A server that dies ends the run, as Ctrl-C does.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	died := site.watch(ctx, cancel)
	err = p.loadAndReport(ctx, o)
	if err == nil {
		return nil
	}
	// What went wrong may be that a server is dying.
	select {
	case s := <-died:
		return s.died()
	case <-time.After(dyingTakes):
		return err
	}
}

// findSkein looks beside this program, as `make build` puts it.
func findSkein() string {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "skein")
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	return filepath.Join("bin", "skein")
}
