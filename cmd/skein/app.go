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

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/health"

	"skein/cmd/internal/engines"
	"skein/cmd/internal/rpc"
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
//
// A worker has no API and does not listen for it.
type App struct {
	config  Config
	log     *slog.Logger
	engines *engines.Set
	tiers   *storage.TierCopy // shared by fan-out and API
	fanout  *fanout.Fanout
	api     *server.Server // nil in a worker

	rpc         *rpc.Server // nil in a worker
	health      *health.Server
	metrics     *http.Server // nil when switched off
	rpcListener net.Listener // nil in a worker
	webListener net.Listener // nil when switched off
	admin       *admin       // nil unless storage and log are on this disk

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
	a.engines, err = engines.Open(a.healthy, a.config.Engines, engines.Options{
		Topics: fanout.Topics(), Clock: clock, Logger: a.log, OnFatal: a.fatal,
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
	if err := a.openFanout(registry); err != nil {
		return err
	}
	if role(a.config.Role).serves() {
		if err := a.openAPI(registry); err != nil {
			return err
		}
	} else {
		a.health = health.NewServer()
		a.health.Shutdown() // until start
	}
	if _, all := a.config.Engines.OnDisk(); all {
		if a.admin, err = openAdmin(a.config.Engines.DataDir, a.engines, a.fanout, a.log); err != nil {
			return err
		}
	}
	if a.config.MetricsListen == "" {
		return nil
	}
	ready := readyHandler{role: role(a.config.Role), engines: a.engines, health: a.health}
	a.metrics = newMetricsServer(registry, ready, a.config, a.log)
	if a.webListener, err = net.Listen("tcp", a.config.MetricsListen); err != nil {
		return fmt.Errorf("cannot listen for metrics: %w", err)
	}
	return nil
}

// fatal is told by an engine that it cannot go on. Where an engine may not return, the
// process ends here: while it opens, and while it is closed.
func (a *App) fatal(err error) {
	doing := "cannot start: "
	if a.opened.Load() {
		a.fail(err)
		if !errors.Is(context.Cause(a.healthy), context.Canceled) {
			return
		}
		doing = "cannot stop in order: "
	}
	a.log.Error(doing + err.Error())
	os.Exit(exitError)
}

// openFanout makes the fan-out over the open engines. The relay runs wherever posts
// are created, so that a commit can wake it.
func (a *App) openFanout(registry prometheus.Registerer) (err error) {
	a.tiers = storage.NewTierCopy(a.engines.Graph, clock)
	a.fanout, err = fanout.New(fanout.Config{
		Posts: a.engines.Posts, Graph: a.engines.Graph, Timelines: a.engines.Timelines, Log: a.engines.Log,
		Tiers: a.tiers, Logger: a.log, Registerer: registry, Heavy: a.config.heavy(),
		NoRelay: !role(a.config.Role).serves(), NoWork: !role(a.config.Role).works(),
	})
	if err != nil {
		return fmt.Errorf("cannot prepare the fan-out: %w", err)
	}
	return nil
}

// openAPI makes the API and listens for it.
func (a *App) openAPI(registry prometheus.Registerer) (err error) {
	a.api, err = server.New(a.healthy, server.Config{
		Posts: a.engines.Posts, Graph: a.engines.Graph, Timelines: a.engines.Timelines, Fanout: a.fanout,
		Tiers: a.tiers, Clock: clock, Logger: a.log, Registerer: registry, LagBound: a.config.LagBound,
	})
	if err != nil {
		return fmt.Errorf("cannot prepare the API: %w", err)
	}
	a.rpc, a.health = rpc.New(rpc.Config{
		MaxInFlight: a.config.MaxInFlight, MaxConnections: a.maxConnections(), NoReflection: a.config.NoReflection,
	}, a.api, registry, a.log)
	if a.rpcListener, err = net.Listen("tcp", a.config.Listen); err != nil {
		return fmt.Errorf("cannot listen for the API: %w", err)
	}
	return nil
}

// Addresses returns where the App listens.
func (a *App) Addresses() Addresses {
	var addresses Addresses
	if a.rpcListener != nil {
		addresses.GRPC = a.rpcListener.Addr().String()
	}
	if a.webListener != nil {
		addresses.Metrics = a.webListener.Addr().String()
	}
	return addresses
}
