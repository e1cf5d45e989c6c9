package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	"skein/deploy/local/servers"
)

// site is the processes that a demo runs on. One goroutine starts and stops it.
type site struct {
	skein  string // the program
	dir    string // for all data
	stderr io.Writer

	engines   []*servers.Server
	processes []*server
}

// start starts what the kind of engines takes. What was started before an error is
// left for stop.
func (s *site) start(ctx context.Context, kind string) error {
	if kind == embedded {
		return s.startSkein(ctx, "all", nil)
	}
	fmt.Fprintln(s.stderr, "starting PostgreSQL, Kafka and Redis (the first time fetches what is not installed, which may take a minute)")
	environ, err := s.startEngines(ctx)
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

// startEngines starts the engines, never those that tests are given, and returns the
// environment by which skein finds them.
func (s *site) startEngines(ctx context.Context) ([]string, error) {
	urls := map[string]string{}
	for _, engine := range []string{servers.Postgres, servers.Kafka, servers.Redis} {
		e, err := servers.Start(ctx, servers.Spec{Engine: engine, Dir: filepath.Join(s.dir, engine)})
		if err != nil {
			return nil, err
		}
		s.engines = append(s.engines, e)
		urls[engine] = e.URL()
	}
	return []string{
		"SKEIN_POSTS=" + urls[servers.Postgres], "SKEIN_GRAPH=" + urls[servers.Postgres],
		"SKEIN_LOG=" + urls[servers.Kafka], "SKEIN_TIMELINES=" + urls[servers.Redis],
	}, nil
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
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	for i := len(s.engines) - 1; i >= 0; i-- {
		errs = append(errs, s.engines[i].Stop(ctx))
	}
	return errors.Join(errs...)
}
