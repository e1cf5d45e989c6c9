package rpc

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// unreadBytes and unreadConnection bound the encoded replies that wait for their
	// clients: of all connections, and of one. What is half a gigabyte of pages is far
	// more than clients that read let come together.
	unreadBytes      = 512 << 20
	unreadConnection = 32 << 20
	// sayFullEvery is how often at most the log says that connections are refused.
	sayFullEvery = time.Minute
)

// Connections bounds the connections to a gRPC server, and the bytes that it holds for
// clients that do not read their replies. Make one with NewConnections.
type Connections struct {
	most   int64
	log    *slog.Logger
	open   atomic.Int64
	unread atomic.Int64 // bytes, of all open connections
	// refused counts those that were one too many; saidFull is when the log told of
	// it last, in Unix nanoseconds.
	refused  prometheus.Counter
	saidFull atomic.Int64
}

// NewConnections returns a bound of that many connections, at least 1.
func NewConnections(most int, registry prometheus.Registerer, log *slog.Logger) *Connections {
	c := &Connections{most: int64(most), log: log, refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "skein_connections_refused_total", Help: "Connections closed at once as there were too many.",
	})}
	registry.MustRegister(c.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "skein_connections", Help: "Connections to the API.",
	}, func() float64 { return float64(c.open.Load()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "skein_unread_reply_bytes", Help: "Bytes of replies that clients have not taken yet.",
	}, func() float64 { return float64(c.unread.Load()) }))
	return c
}

// Listener returns l within the bounds. A connection too many is closed at once, so that
// its client hears of it and tries another server.
func (c *Connections) Listener(l net.Listener) net.Listener { return listener{l, c} }

type listener struct {
	net.Listener
	of *Connections
}

func (l listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.of.open.Add(1) <= l.of.most {
			return &connection{Conn: raw, of: l.of}, nil
		}
		l.of.open.Add(-1)
		_ = raw.Close() // there is nothing to lose
		l.of.refused.Inc()
		now, said := time.Now().UnixNano(), l.of.saidFull.Load()
		if now-said > int64(sayFullEvery) && l.of.saidFull.CompareAndSwap(said, now) {
			l.of.log.Warn("too many connections; more are closed at once (raise --max-connections, or add API servers)", "connections", l.of.most)
		}
	}
}

// connection is one of a client. Calls find it through their peer's address.
type connection struct {
	net.Conn
	of *Connections

	mu     sync.Mutex
	unread int64 // bytes
	closed bool
}

// peerAddr is the address of a connection's client, and leads to the connection.
type peerAddr struct {
	net.Addr
	connection *connection
}

func (c *connection) RemoteAddr() net.Addr { return peerAddr{c.Conn.RemoteAddr(), c} }

// Close gives back what the connection held: nobody will read it.
func (c *connection) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.of.open.Add(-1)
		c.of.unread.Add(-c.unread)
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

// hold counts a reply that is about to be sent, unless too much waits already. Whoever
// has read all before is always let have one more, so that clients that do not read
// keep out only themselves.
func (c *connection) hold(bytes int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return true // nobody gets it, and release does not count it either
	case c.unread > 0 && (c.unread+bytes > unreadConnection || c.of.unread.Load()+bytes > unreadBytes):
		return false
	}
	c.unread += bytes
	c.of.unread.Add(bytes)
	return true
}

// release says that a reply which hold counted has been sent.
func (c *connection) release(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.unread -= bytes
		c.of.unread.Add(-bytes)
	}
}
