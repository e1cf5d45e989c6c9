package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"skein/deploy/local/servers"
)

func (p *program) upCommand() *cobra.Command {
	var noSync bool
	command := &cobra.Command{
		Use:   "up [engine …]",
		Short: "Start engines (PostgreSQL, Kafka and Redis, if none is named); those that run stay",
		Long: `Start engines and return when they answer: those named, or PostgreSQL, Kafka and
Redis if none is. Those that run stay as they are, those that died go on with their
data. What is not installed is fetched once, into .cache/engines or
$SKEIN_ENGINES_CACHE.

If one does not start, those that this call started are stopped again. If one
cannot be had on this machine (no Java, no network) the others are started, and
the exit code is 3.`,
		Example: "  local up\n  local up redis postgres\n  eval \"$(go run ./deploy/local env)\"",
		Args:    engineArgs,
		RunE: func(command *cobra.Command, args []string) error {
			var unsynced []string
			if noSync {
				unsynced = known
			}
			return p.up(command.Context(), chosen(args, usual), unsynced)
		},
	}
	command.Flags().BoolVar(&noSync, "no-sync", false, "let PostgreSQL and Cassandra acknowledge what is not on the disk, and Kafka and Cassandra compile quickly rather than well: faster tests, wrong figures")
	return command
}

// cassandraNodes is how many a cluster of Cassandra has: of three, one may fail.
const cassandraNodes = 3

// start is what became of one engine.
type start struct {
	name   string
	server engine
	// ours is true if this call started it.
	ours bool
	err  error
}

// up starts the engines of these names, those in unsynced as --no-sync has it.
func (p *program) up(ctx context.Context, names, unsynced []string) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Fprintf(p.stderr, "starting %s (the first time fetches what is not installed, which may take a minute)\n", strings.Join(names, ", "))
	starts := make([]start, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { starts[i] = p.startOne(ctx, name, slices.Contains(unsynced, name)) })
	}
	all.Wait()

	var failures, missing []error
	for _, s := range starts {
		if _, ok := errors.AsType[*servers.MissingError](s.err); ok {
			missing = append(missing, s.err)
		} else if s.err != nil {
			failures = append(failures, s.err)
		}
	}
	if err := ctx.Err(); err != nil {
		failures = append(failures, fmt.Errorf("interrupted: %w", err))
	}
	if len(failures) > 0 {
		return errors.Join(append(failures, stopOurs(starts)...)...)
	}
	if err := p.printStatus(names); err != nil {
		return err
	}
	for _, err := range missing {
		fmt.Fprintf(p.stderr, "MISSING %v\n", err)
	}
	if len(missing) > 0 {
		return missingError{engines: missing, of: len(names)}
	}
	return nil
}

func (p *program) startOne(ctx context.Context, name string, noSync bool) start {
	s, err := p.open(name)
	ran := err == nil && s.Running()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return start{name: name, err: err}
	}
	spec := servers.Spec{Engine: name, Dir: p.folder(name), NoSync: noSync, Brief: noSync, Detached: true}
	switch {
	case name == servers.RedisCluster: // some of its servers may have died
		s, err = servers.StartRedisCluster(ctx, servers.ClusterSpec{Dir: spec.Dir, Replicas: true, Detached: true})
	case name == servers.CassandraCluster:
		s, err = servers.StartCassandraCluster(ctx, spec, cassandraNodes)
	case !ran:
		s, err = servers.Start(ctx, spec)
	}
	return start{name: name, server: s, ours: err == nil && !ran, err: err}
}

// stopOurs stops what this call started, although its context may have ended.
func stopOurs(starts []start) (errs []error) {
	for _, s := range starts {
		if s.ours {
			errs = append(errs, s.server.Stop(context.Background()))
		}
	}
	return errs
}
