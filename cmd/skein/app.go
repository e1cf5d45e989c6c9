package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"skein/cmd/internal/engines"
	"skein/cmd/internal/rpc"
	"skein/cmd/internal/threads"
	"skein/fanout"
	"skein/feed/server"
	"skein/storage"
)

// App is one server process without its command line: New opens everything, Run
// serves until it is told to stop, Close closes everything. Each is called once,
// in this order, by one goroutine.
//
//	New:   lock, engines, fan-out, API, listeners
//	Run:   start the fan-out, serve, wait; then drain:
//	       1. health says NOT_SERVING
//	       2. no new calls, those in work finish
//	       3. skein's own commands (a backup, a replay) are cut off
//	       4. the fan-out finishes its chunks and commits its offsets
//	       5. metrics, which told of all this, go last
//	Close: API, then the engines in reverse, then the lock
type App struct {
	config  Config
	log     *slog.Logger
	engines *engines.Set
	fanout  *fanout.Fanout
	api     *server.Server

	rpc         *grpc.Server
	health      *health.Server
	metrics     *http.Server // nil when switched off
	rpcListener net.Listener
	webListener net.Listener // nil when switched off
	admin       *admin

	// healthy ends when something fails that cannot be mended; its cause says
	// what. fail ends it.
	healthy context.Context
	fail    context.CancelCauseFunc
	// opened is set when New is past the engines: before that nobody watches
	// healthy, and an engine that failed may never return.
	opened atomic.Bool
	// servers counts the goroutines that serve.
	servers sync.WaitGroup
}

// New opens all that a server needs and starts nothing that serves. config must
// be valid. The error is one line for an operator, and nothing is left open.
func New(config Config, log *slog.Logger) (*App, error) {
	return newApp(config, log, func(*engines.Set) {})
}

// newApp is New with engines that a test may break.
func newApp(config Config, log *slog.Logger, alter func(*engines.Set)) (*App, error) {
	a := &App{config: config, log: log}
	a.healthy, a.fail = context.WithCancelCause(context.Background())
	if err := a.open(alter); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(alter func(*engines.Set)) (err error) {
	a.engines, err = engines.Open(a.config.Engines, engines.Options{
		Topics: fanout.Topics(), Clock: time.Now, Logger: a.log, OnFatal: a.fatal,
	})
	if err != nil {
		return err
	}
	a.opened.Store(true)
	alter(a.engines)
	if err := a.removeAddresses(); err != nil {
		return err
	}
	registry := newRegistry(a.config.Engines, a.engines.Timelines)
	if err := a.openFeed(registry); err != nil {
		return err
	}
	a.rpc, a.health = rpc.New(rpc.Config{MaxInFlight: a.config.MaxInFlight, NoReflection: a.config.NoReflection}, a.api, registry, a.log)
	if a.rpcListener, err = net.Listen("tcp", a.config.Listen); err != nil {
		return fmt.Errorf("cannot listen for the API: %w", err)
	}
	if a.admin, err = openAdmin(a.config.Engines.DataDir, a.engines, a.fanout, a.log); err != nil {
		return err
	}
	if a.config.MetricsListen == "" {
		return nil
	}
	a.metrics = newMetricsServer(registry, a.health, a.log)
	if a.webListener, err = net.Listen("tcp", a.config.MetricsListen); err != nil {
		return fmt.Errorf("cannot listen for metrics: %w", err)
	}
	return nil
}

// fatal is told by an engine that it cannot go on.
func (a *App) fatal(err error) {
	if a.opened.Load() {
		a.fail(err)
		return
	}
	a.log.Error("cannot start: " + err.Error())
	os.Exit(exitError)
}

// openFeed makes the fan-out and the API over the open engines. Both share one
// copy of the tiers.
func (a *App) openFeed(registry prometheus.Registerer) (err error) {
	tiers := storage.NewTierCopy(a.engines.Graph, time.Now)
	a.fanout, err = fanout.New(fanout.Config{
		Posts: a.engines.Posts, Graph: a.engines.Graph, Timelines: a.engines.Timelines, Log: a.engines.Log,
		Tiers: tiers, Clock: time.Now, Logger: a.log, Registerer: registry,
		Heavy: max(1, threads.Processors/2),
	})
	if err != nil {
		return fmt.Errorf("cannot prepare the fan-out: %w", err)
	}
	a.api, err = server.New(a.healthy, server.Config{
		Posts: a.engines.Posts, Graph: a.engines.Graph, Timelines: a.engines.Timelines, Fanout: a.fanout,
		Tiers: tiers, Clock: time.Now, Logger: a.log, Registerer: registry, LagBound: a.config.LagBound,
	})
	if err != nil {
		return fmt.Errorf("cannot prepare the API: %w", err)
	}
	return nil
}

// Addresses returns where the App listens.
func (a *App) Addresses() Addresses {
	addresses := Addresses{GRPC: a.rpcListener.Addr().String()}
	if a.webListener != nil {
		addresses.Metrics = a.webListener.Addr().String()
	}
	return addresses
}

// Run serves until ctx ends, drains, and returns nil. When something fails for
// good it returns that at once: what is not committed is done again after the
// next start.
func (a *App) Run(ctx context.Context) error {
	if err := a.start(); err != nil {
		a.fail(err)
	}
	select {
	case <-ctx.Done():
		a.log.Info("stopping", "within", a.config.Drain)
		a.drain()
	case <-a.healthy.Done():
		a.rpc.Stop()
	}
	return context.Cause(a.healthy)
}

func (a *App) start() error {
	if err := a.fanout.Start(); err != nil {
		return fmt.Errorf("cannot start the fan-out: %w", err)
	}
	a.servers.Go(func() {
		if err := a.rpc.Serve(a.rpcListener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			a.fail(fmt.Errorf("the API stopped: %w", err))
		}
	})
	a.servers.Go(func() {
		if err := a.admin.serve(); err != nil {
			a.fail(fmt.Errorf("the socket for skein's own commands stopped: %w", err))
		}
	})
	if a.metrics != nil {
		a.servers.Go(func() {
			if err := a.metrics.Serve(a.webListener); !errors.Is(err, http.ErrServerClosed) {
				a.fail(fmt.Errorf("metrics stopped: %w", err))
			}
		})
	}
	a.health.Resume()
	addresses := a.Addresses()
	a.log.Info("serving", "grpc", addresses.GRPC, "metrics", addresses.Metrics,
		"version", version, "data_dir", a.config.Engines.DataDir)
	return a.writeAddresses(addresses)
}

// drain stops in the order written at App. A failure meanwhile cuts it short.
func (a *App) drain() {
	// Calls get three quarters of the time, so that one slow client does not
	// leave the fan-out none.
	all, cancel := context.WithTimeout(a.healthy, a.config.Drain)
	defer cancel()
	calls, cancelCalls := context.WithTimeout(all, a.config.Drain*3/4)
	defer cancelCalls()

	a.health.Shutdown()
	if err := a.removeAddresses(); err != nil {
		a.log.Warn(err.Error())
	}
	force := context.AfterFunc(calls, func() {
		a.log.Warn("calls did not end in time and are cut off")
		a.rpc.Stop()
	})
	a.rpc.GracefulStop()
	force()
	a.admin.stop()
	if err := a.fanout.Stop(all); err != nil {
		a.log.Warn("the fan-out did not end in time; what it left is done again after the next start", "err", err)
	}
	if a.metrics != nil {
		_ = a.metrics.Close() // a scrape cut off loses nothing
	}
	a.servers.Wait()
	a.log.Info("drained")
}

// Close closes the API and the engines, in the reverse of their opening, and
// gives the data directory back. After a failure it closes nothing, since an
// engine that has failed may not answer: the process has to end.
func (a *App) Close() error {
	if a.healthy.Err() != nil {
		return nil
	}
	a.fail(nil)
	var errs []error
	for _, listener := range []net.Listener{a.rpcListener, a.webListener} {
		if listener == nil {
			continue
		}
		// Run has closed it as a rule.
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if a.admin != nil {
		a.admin.stop()
	}
	if a.api != nil {
		a.api.Close()
	}
	if a.engines != nil {
		errs = append(errs, a.engines.Close())
	}
	return errors.Join(errs...)
}
