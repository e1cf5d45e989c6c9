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
	skein, kind := "", embedded
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start a server, let celebrities post into a busy day, and check every timeline",
		Long: `Start a server, let celebrities post into a busy day, and check every timeline.

With --engines servers it starts PostgreSQL, Kafka and Redis for itself, two API servers
and two workers over them, and loads both API servers: with 10,000 users, 400,000 follows
and 300 calls a second, unless told otherwise. What of these engines is not installed is
fetched once.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.checkGraph(c.Flags()); err != nil {
				return err
			}
			switch kind {
			case embedded:
			case realServers:
				o.scaleDown(c.Flags())
			default:
				return fmt.Errorf("%w: --engines is %q; embedded or servers", loadgen.ErrConfig, kind)
			}
			return p.demo(c.Context(), o, skein, kind)
		},
	}
	o.bindLoad(c.Flags())
	c.Flags().StringVar(&kind, "engines", kind, "what the servers keep their data in: embedded, or servers")
	c.Flags().StringVar(&skein, "skein", "", "`path` of the skein program (default: beside this one, else bin/skein)")
	return c
}

// What --engines may be.
const embedded, realServers = "embedded", "servers"

// scaleDown makes the show fit engines that are processes on the same two cores.
func (o *options) scaleDown(given *pflag.FlagSet) {
	if !given.Changed("users") {
		o.Users = 10_000
	}
	if !given.Changed("follows") {
		o.Follows = 400_000
	}
	if !given.Changed("rate") {
		o.Rate = 300
	}
}

// demo runs o against processes of its own, which it leaves nothing of.
func (p *program) demo(ctx context.Context, o options, skein, kind string) (err error) {
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
	if err := site.start(ctx, kind); err != nil {
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
