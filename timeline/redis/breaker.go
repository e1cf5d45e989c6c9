package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// stall is after how long without an answer a server counts as stalled.
	stall = 500 * time.Millisecond
	// probeTime is how long a stalled server has to answer a PING.
	probeTime = 100 * time.Millisecond
	// probeRest is how long its silence is then taken for granted.
	probeRest = 500 * time.Millisecond
)

// breaker keeps a stalled server (paused, cut off, swapping) from costing each call
// its full deadline:
//
//	closed ── no answer for 500 ms ──► open: calls fail at once
//	   ▲                                  │ every 500 ms
//	   └── answered ── one call sends a PING, 100 ms ── not answered: open again
//
// So a stall costs those calls that are under way when it begins their deadline, and
// of all later ones one in half a second 100 ms. A server that refuses connections
// answers, as far as this goes: it costs nobody any time.
type breaker struct {
	mu struct {
		sync.Mutex
		open  bool
		until time.Time // no probe before
	}
}

var errStalled = errors.New("redis has stalled: it does not answer")

// admit returns an error if nothing should be sent now.
func (b *breaker) admit(ctx context.Context, ping func(context.Context) error) error {
	if !b.probes(time.Now()) {
		return b.state()
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if err := ping(ctx); err != nil {
		return errors.Join(errStalled, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.open = false
	return nil
}

// probes reports whether the caller is to send a probe.
func (b *breaker) probes(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.mu.open || now.Before(b.mu.until) {
		return false
	}
	b.mu.until = now.Add(probeRest)
	return true
}

func (b *breaker) state() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.open {
		return errStalled
	}
	return nil
}

// observe notes what came of a call.
func (b *breaker) observe(err error, took time.Duration) {
	if answered(err) {
		return
	}
	if took < stall {
		return // refused, or its caller was in a hurry
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.mu.open {
		b.mu.open, b.mu.until = true, time.Now().Add(probeRest)
	}
}

// answered reports whether a server answered, if only with an error.
func answered(err error) bool {
	if err == nil {
		return true
	}
	_, ok := errors.AsType[goredis.Error](err)
	return ok
}
