package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

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
	skein := ""
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start a server, let celebrities post into a busy day, and check every timeline",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.demo(c.Context(), o, skein)
		},
	}
	o.bindLoad(c.Flags())
	c.Flags().StringVar(&skein, "skein", "", "`path` of the skein program (default: beside this one, else bin/skein)")
	return c
}

// demo runs o against a server of its own, which it leaves nothing of.
func (p *program) demo(ctx context.Context, o options, skein string) (err error) {
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
	s, err := startServer(ctx, skein, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	o.Targets, o.Metrics = []string{s.addresses.GRPC}, []string{"http://" + s.addresses.Metrics}

	// A server that dies ends the run, as Ctrl-C does.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	err = p.loadAndReport(ctx, o)
	if err == nil {
		return nil
	}
	// What went wrong may be that the server is dying.
	select {
	case <-s.exited:
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
