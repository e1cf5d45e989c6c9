package rows

import (
	"context"
	"sync"
)

// gate is open, or shut until somebody opens it. The zero value is open.
type gate struct {
	mu struct {
		sync.Mutex
		opened chan struct{} // closed when the gate opens; nil: it is open
	}
}

// shut shuts the gate and returns what opens it, once or more often.
func (g *gate) shut() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	opened := make(chan struct{})
	g.mu.opened = opened
	return sync.OnceFunc(func() { close(opened) })
}

// pass waits until the gate is open.
func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	opened := g.mu.opened
	g.mu.Unlock()
	if opened == nil {
		return nil
	}
	select {
	case <-opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
