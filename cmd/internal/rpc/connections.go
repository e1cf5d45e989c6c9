package rpc

import (
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sayFullEvery is how often at most the log says that connections are refused.
const sayFullEvery = time.Minute

// connections bounds the connections to a server.
type connections struct {
	most    int64
	untaken *untaken
	log     *slog.Logger
	open    atomic.Int64
	refused atomic.Int64 // those that were one too many
	// saidFull is when the log told of them last, in Unix nanoseconds.
	saidFull atomic.Int64
}

func newConnections(most int, untaken *untaken, registry prometheus.Registerer, log *slog.Logger) *connections {
	c := &connections{most: int64(most), untaken: untaken, log: log}
	registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "skein_connections_refused_total", Help: "Connections closed at once as there were too many.",
	}, func() float64 { return float64(c.refused.Load()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "skein_connections", Help: "Connections to the API.",
	}, func() float64 { return float64(c.open.Load()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "skein_untaken_reply_bytes", Help: "Memory of replies that wait for their clients to read them.",
	}, func() float64 { return float64(untaken.total()) }))
	return c
}

// listener closes a connection too many at once, so that its client hears of it and
// tries another server: in the kernel's queue it would learn nothing.
type listener struct {
	net.Listener
	of *connections
}

func (l listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.of.open.Add(1) <= l.of.most {
			return l.of.untaken.connect(raw, func() { l.of.open.Add(-1) }), nil
		}
		l.of.open.Add(-1)
		l.of.refused.Add(1)
		_ = raw.Close() // there is nothing to lose
		now, said := time.Now().UnixNano(), l.of.saidFull.Load()
		if now-said > int64(sayFullEvery) && l.of.saidFull.CompareAndSwap(said, now) {
			l.of.log.Warn("too many connections; more are closed at once (raise --max-connections, or add API servers)", "connections", l.of.most)
		}
	}
}
