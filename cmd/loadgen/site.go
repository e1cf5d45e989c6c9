package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"skein/deploy/local/servers"
)

// backends are the engines that the processes of a demo share, by their names in
// package servers. The zero value is one process with embedded engines.
type backends struct{ posts, graph, log, timelines string }

// What --engines may be, and which engines that means.
const embedded = "embedded"

var kinds = map[string]backends{
	embedded:  {},
	"servers": {servers.Postgres, servers.Postgres, servers.Kafka, servers.Redis},
	"cluster": {servers.Cassandra, servers.Postgres, servers.Kafka, servers.RedisCluster},
}

// engine is a server, or a cluster of them.
type engine interface {
	URL() string
	Kill() error
}

// site is the processes that a demo runs on. One goroutine starts and stops it.
type site struct {
	skein  string // the program
	dir    string // for all data
	stderr io.Writer

	engines   []engine
	processes []*server
}

// start starts what on takes. What was started before an error is left for stop.
func (s *site) start(ctx context.Context, on backends) error {
	if on == kinds[embedded] {
		return s.startSkein(ctx, "all", nil)
	}
	environ, err := s.startEngines(ctx, on)
	if err != nil {
		return err
	}
	migrate := exec.CommandContext(ctx, s.skein, "migrate")
	migrate.Env = withEnvironment(environ)
	if said, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("skein migrate: %w: %s", err, said)
	}
	for _, role := range []string{"api", "api", "worker", "worker"} {
		if err := s.startSkein(ctx, role, environ); err != nil {
			return err
		}
	}
	return nil
}

// startEngines starts engines, all at once, never those that tests are given, and
// returns the environment by which skein finds them.
func (s *site) startEngines(ctx context.Context, on backends) ([]string, error) {
	names := []string{on.posts, on.graph, on.log, on.timelines}
	slices.Sort(names)
	names = slices.Compact(names)
	fmt.Fprintf(s.stderr, "starting %s (the first time fetches what is not installed, which may take a minute)\n", strings.Join(names, ", "))
	started, errs := make([]engine, len(names)), make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { started[i], errs[i] = startEngine(ctx, name, filepath.Join(s.dir, name)) })
	}
	all.Wait()
	urls := map[string]string{}
	for i, name := range names {
		if errs[i] == nil {
			s.engines = append(s.engines, started[i])
			urls[name] = started[i].URL()
		}
	}
	return []string{
		"SKEIN_POSTS=" + urls[on.posts], "SKEIN_GRAPH=" + urls[on.graph],
		"SKEIN_LOG=" + urls[on.log], "SKEIN_TIMELINES=" + urls[on.timelines],
	}, errors.Join(errs...)
}

func startEngine(ctx context.Context, name, dir string) (engine, error) {
	if name == servers.RedisCluster {
		return servers.StartRedisCluster(ctx, servers.ClusterSpec{Dir: dir, Replicas: true})
	}
	return servers.Start(ctx, servers.Spec{Engine: name, Dir: dir})
}

func (s *site) startSkein(ctx context.Context, role string, environ []string) error {
	dir := filepath.Join(s.dir, fmt.Sprintf("skein%d", len(s.processes)))
	process, err := startServer(ctx, s.skein, dir, role, environ)
	if err == nil {
		s.processes = append(s.processes, process)
	}
	return err
}

// targets are the addresses of the API.
func (s *site) targets() (all []string) {
	for _, p := range s.processes {
		if p.addresses.GRPC != "" {
			all = append(all, p.addresses.GRPC)
		}
	}
	return all
}

// metrics are the URLs of all metrics.
func (s *site) metrics() (all []string) {
	for _, p := range s.processes {
		all = append(all, "http://"+p.addresses.Metrics)
	}
	return all
}

// watch calls cancel when a process of skein exits before ctx ends, and then sends it.
func (s *site) watch(ctx context.Context, cancel func()) <-chan *server {
	died := make(chan *server, len(s.processes))
	for _, p := range s.processes {
		go func() {
			select {
			case <-p.exited:
				died <- p
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return died
}

// stop ends all processes, last started first, and returns all errors.
func (s *site) stop() error {
	var errs []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		errs = append(errs, s.processes[i].stop())
	}
	for _, e := range s.engines { // nobody needs their data, and Cassandra would take its time
		errs = append(errs, e.Kill())
	}
	return errors.Join(errs...)
}
