package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
)

// Run serves until ctx ends, drains, and returns nil. When something fails for
// good it returns that at once: what is not committed is done again after the
// next start.
func (a *App) Run(ctx context.Context) error {
	if err := a.start(); err != nil {
		a.fail(err)
	}
	select {
	case <-ctx.Done():
		a.log.Info("stopping; another signal, a second later or more, stops at once", "within", a.config.Drain)
		a.drain()
	case <-a.healthy.Done():
		a.breakOff()
	}
	return context.Cause(a.healthy)
}

// breakOffTime is how long calls may take to fail once an engine has.
const breakOffTime = time.Second

// breakOff ends the API after a failure, without waiting for ever: a call may hang in
// the engine that failed, which has panicked under its own lock.
func (a *App) breakOff() {
	if a.rpc == nil {
		return
	}
	stopped := make(chan struct{})
	go func() { // ends with the process, if not before
		a.rpc.Stop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(breakOffTime):
		a.log.Warn("calls hang in an engine that failed; ending without them")
	}
}

func (a *App) start() error {
	if err := a.fanout.Start(); err != nil {
		return fmt.Errorf("cannot start the fan-out: %w", err)
	}
	if a.rpc != nil {
		a.servers.Go(func() {
			if err := a.rpc.Serve(a.rpcListener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				a.fail(fmt.Errorf("the API stopped: %w", err))
			}
		})
	}
	if a.admin != nil {
		a.servers.Go(func() {
			if err := a.admin.serve(); err != nil {
				a.fail(fmt.Errorf("the socket for skein's own commands stopped: %w", err))
			}
		})
	}
	if a.metrics != nil {
		a.servers.Go(func() {
			if err := a.metrics.Serve(a.webListener); !errors.Is(err, http.ErrServerClosed) {
				a.fail(fmt.Errorf("metrics stopped: %w", err))
			}
		})
	}
	a.health.Resume()
	addresses := a.Addresses()
	a.log.Info("serving", "role", a.config.Role, "grpc", addresses.GRPC, "metrics", addresses.Metrics,
		"version", version, "data_dir", a.config.Engines.DataDir)
	return a.writeAddresses(addresses)
}

// drain stops in the order written at App. A failure meanwhile cuts it short.
func (a *App) drain() {
	all, cancel := context.WithTimeout(a.healthy, a.config.Drain)
	defer cancel()

	a.health.Shutdown()
	if err := a.removeAddresses(); err != nil {
		a.log.Warn(err.Error())
	}
	if a.rpc != nil {
		a.drainCalls(all)
	}
	if a.admin != nil {
		a.admin.stop()
	}
	if err := a.fanout.Stop(all); err != nil {
		a.log.Warn("the fan-out did not end in time; what it left is done again after the next start", "err", err)
	}
	if a.metrics != nil {
		_ = a.metrics.Close() // a scrape cut off loses nothing
	}
	a.servers.Wait()
	a.log.Info("drained")
}

// drainCalls lets the calls in work finish. They get three quarters of the time, so
// that one slow client does not leave the fan-out none.
func (a *App) drainCalls(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.config.Drain*3/4)
	defer cancel()
	force := context.AfterFunc(ctx, func() {
		a.log.Warn("calls did not end in time and are cut off")
		a.rpc.Stop()
	})
	a.rpc.GracefulStop()
	force()
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
