package kafka

import (
	"context"
	"net"
	"sync"
)

// connections are all network connections of a log, so that Close can end what
// the driver left behind: a request whose caller went away still waits for its
// answer.
type connections struct {
	dialer net.Dialer

	mu struct {
		sync.Mutex
		open   map[*connection]struct{}
		closed bool
	}
}

func newConnections() *connections {
	c := &connections{dialer: net.Dialer{Timeout: dialTimeout}}
	c.mu.open = map[*connection]struct{}{}
	return c
}

func (c *connections) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	tracked := &connection{Conn: conn, all: c}
	c.mu.Lock()
	closed := c.mu.closed
	c.mu.open[tracked] = struct{}{}
	c.mu.Unlock()
	if closed {
		_ = tracked.Close()
		return nil, net.ErrClosed
	}
	return tracked, nil
}

// close ends all connections, and those that are still being made.
func (c *connections) close() {
	c.mu.Lock()
	open := c.mu.open
	c.mu.open, c.mu.closed = map[*connection]struct{}{}, true
	c.mu.Unlock()
	for conn := range open {
		_ = conn.Conn.Close()
	}
}

type connection struct {
	net.Conn
	all *connections
}

func (c *connection) Close() error {
	c.all.mu.Lock()
	delete(c.all.mu.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}
