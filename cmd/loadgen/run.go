package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skein/cmd/internal/progress"
	"skein/loadgen"
	"skein/loadgen/report"
)

// options are what a command is told: what to run, and where to put the report.
type options struct {
	loadgen.Config
	out string
}

// bindGraph binds the flags that shape the graph; their defaults are what o
// holds.
func (o *options) bindGraph(f *pflag.FlagSet) {
	f.StringVar(&o.Graph, "graph", o.Graph, "`file` with a SNAP edge list (may be gzipped), or synthetic")
	f.BoolVar(&o.GraphOptions.Reverse, "reverse", false, "the file's lines are author, follower")
	f.BoolVar(&o.GraphOptions.Undirected, "undirected", false, "each line of the file is a follow in both directions")
	f.BoolVar(&o.GraphOptions.SkipBad, "skip-bad", false, "count malformed lines of the file instead of refusing it")
	f.IntVar(&o.Users, "users", o.Users, "users of a synthetic graph")
	f.Int64Var(&o.Follows, "follows", o.Follows, "follows of a synthetic graph, about")
	f.IntVar(&o.Celebrities, "celebrities", o.Celebrities, "how many of the most followed users post the burst")
	f.Float64Var(&o.CelebrityShare, "celebrity-share", o.CelebrityShare, "share of a synthetic graph's users that follow each celebrity")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "repeats the graph and the choice of every call")
}

// checkGraph refuses flags that shape a synthetic graph beside a file: they would do
// nothing.
func (o *options) checkGraph(given *pflag.FlagSet) error {
	if o.Graph == loadgen.SyntheticGraph {
		return nil
	}
	for _, name := range []string{"users", "follows", "celebrity-share"} {
		if given.Changed(name) {
			return fmt.Errorf("%w: --%s shapes a synthetic graph, and --graph names a file; leave one out", loadgen.ErrConfig, name)
		}
	}
	return nil
}

// bindLoad binds the flags that every run has; their defaults are what o holds.
func (o *options) bindLoad(f *pflag.FlagSet) {
	o.bindGraph(f)
	f.Float64Var(&o.Rate, "rate", o.Rate, "calls a second, without the burst")
	f.Float64Var(&o.ReadShare, "read-share", o.ReadShare, "share of the calls that read a home timeline")
	f.IntVar(&o.Burst, "burst", o.Burst, "posts in the spike's burst, of all celebrities together")
	f.IntVar(&o.Sample, "sample", o.Sample, "viewers to check; 0: all up to 50,000, of more users 5,000")
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long to load")
	f.DurationVar(&o.LagBound, "lag-bound", o.LagBound, "a post acknowledged longer ago than this may not be missing")
	f.DurationVar(&o.CallTimeout, "call-timeout", o.CallTimeout, "when to give up a call")
	f.IntVar(&o.InFlight, "in-flight", o.InFlight, "calls of the load that may wait for the target at once")
	f.StringVar(&o.out, "out", o.out, "`folder` for report.html and report.json")
}

func (p *program) runCommand() *cobra.Command {
	o := options{Config: loadgen.DefaultConfig(), out: filepath.Join("out", "loadgen")}
	c := &cobra.Command{
		Use:   "loadgen",
		Short: "Load a Skein server that is running, and prove what it answers",
		Long: `Load a Skein server that is running, and prove what it answers.

loadgen brings a graph, posts, follows, reads and deletes in an open loop, scrolls
whole home timelines against a record of all that was acknowledged, and writes
report.html, for people, and report.json, for programs. "loadgen demo" starts the
server as well; "loadgen compare" puts two reports side by side.

The server should hold nothing else: what a few users follow is compared with the graph,
and a server with other follows is refused. Another run with the same graph, or --seed,
is fine.

It exits with 0 when all was well, 1 when a check was violated, when a call failed that
should not (RESOURCE_EXHAUSTED is counted, and no failure) or when it was interrupted,
2 when called wrongly.`,
		Example: `  loadgen --rate 500 --duration 30s --out out/spike
  loadgen --graph graph.txt.gz --target 127.0.0.1:7460 --target 127.0.0.1:7470`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.checkGraph(c.Flags()); err != nil {
				return err
			}
			return p.loadAndReport(c.Context(), o)
		},
	}
	o.bindLoad(c.Flags())
	c.Flags().StringArrayVar(&o.Targets, "target", o.Targets, "`address` of a server's gRPC API; repeat it for round robin")
	c.Flags().StringArrayVar(&o.Metrics, "metrics", o.Metrics, "`URL` of a server's metrics, for what the API does not tell; repeatable")
	c.Flags().StringVar((*string)(&o.Workload), "workload", string(o.Workload), "steady, or spike")
	return c
}

// loadAndReport runs o, prints the table, and writes report.json, also of a run
// that was interrupted or went wrong on its way.
func (p *program) loadAndReport(ctx context.Context, o options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("%w: --out: %w", loadgen.ErrConfig, err)
	}
	shown := progress.New(p.stderr)
	o.Progress = shown
	defer shown.Stop()
	rep, err := loadgen.Run(ctx, o.Config)
	if rep == nil {
		return err
	}
	shown.End()
	file, page := filepath.Join(o.out, report.FileName), filepath.Join(o.out, report.PageName)
	wrote := errors.Join(rep.Write(file), rep.WritePage(page))
	tabled := rep.Table(p.stdout)
	if wrote == nil {
		fmt.Fprintf(p.stdout, "\nThe whole report: %s, for programs %s\n", page, file)
	}
	return errors.Join(err, wrote, tabled)
}
