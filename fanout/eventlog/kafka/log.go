package kafka

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
	"skein/feed"
)

const (
	dialTimeout = 3 * time.Second
	// requestTimeout bounds one request.
	requestTimeout = 5 * time.Second
	// callPatience bounds one call, with all of its attempts.
	callPatience = 10 * time.Second
	// maxRequests bounds the requests, and so the connections, that a log has at
	// a time, beside one for each partition assigned to it and for each group.
	maxRequests = 32
	// metadataTTL bounds how old the known layout of the cluster is.
	metadataTTL = 3 * time.Second

	clientID = "skein"
)

// Options of a log. The zero value is the usual one.
type Options struct {
	// Clock tells append times; nil for time.Now.
	Clock feed.Clock
	// Logger is nil for slog.Default(). The driver's own lines come at debug.
	Logger *slog.Logger
	// AllowWeak takes topics whose settings can lose what was acknowledged (W2),
	// with a warning. A cluster of one broker is always taken, with one.
	AllowWeak bool
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Log is an event log in a Kafka cluster. Make one with Open. It implements
// eventlog.Log.
type Log struct {
	address
	clock     feed.Clock
	logger    *slog.Logger
	conns     *connections
	transport *kafka.Transport
	client    *kafka.Client
	topics    map[string]*topic // not changed after Open
	slots     chan struct{}     // one element for each request under way
	failures  atomic.Uint64     // of requests: see moment

	// live ends when Close begins, closing when consumers are gone.
	live, closing context.Context
	end, abort    context.CancelFunc

	mu struct {
		sync.Mutex
		closing bool // no more Consume
		closed  bool // no more calls
	}
	consumers, calls sync.WaitGroup
	closed           chan struct{} // closed when Close is through
}

var _ eventlog.Log = (*Log)(nil)

// connect makes a log that knows no topics and has asked nothing yet.
func connect(a address, topics []eventlog.Topic, opts Options) *Log {
	l := &Log{
		address: a,
		clock:   opts.Clock,
		logger:  opts.Logger,
		conns:   newConnections(),
		topics:  map[string]*topic{},
		slots:   make(chan struct{}, maxRequests),
		closed:  make(chan struct{}),
	}
	l.live, l.end = context.WithCancel(context.Background())
	l.closing, l.abort = context.WithCancel(context.Background())
	var names []string // none would mean no topics, nil means all
	for _, t := range topics {
		names = append(names, a.topic(t.Name))
	}
	l.transport = &kafka.Transport{
		Dial:           l.conns.dial,
		DialTimeout:    dialTimeout,
		MetadataTTL:    metadataTTL,
		MetadataTopics: names,
		ClientID:       clientID,
		Context:        l.closing,
	}
	l.client = &kafka.Client{Addr: kafka.TCP(a.brokers...), Timeout: requestTimeout, Transport: l.transport}
	return l
}

// PartitionOf implements eventlog.Log.
func (l *Log) PartitionOf(topic string, key []byte) int {
	t, ok := l.topics[topic]
	if !ok || len(key) == 0 {
		return -1
	}
	return t.partitionOf(key)
}

// enter begins a call for a topic; leave, which is not nil only then, ends it.
func (l *Log) enter(ctx context.Context, name string) (t *topic, leave func(), err error) {
	if t, err = l.topic(name); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, feed.Unavailable("use the event log", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil, nil, errClosed
	}
	l.calls.Add(1)
	return t, l.calls.Done, nil
}

// Close leaves all groups when their handles have returned, which may commit
// until then, ends all calls and all connections. Closing twice is closing once.
func (l *Log) Close() error {
	l.mu.Lock()
	again := l.mu.closing
	l.mu.closing = true
	l.mu.Unlock()
	if again {
		<-l.closed
		return nil
	}
	defer close(l.closed)
	l.end()
	l.consumers.Wait()

	l.mu.Lock()
	l.mu.closed = true
	l.mu.Unlock()
	l.abort()
	l.calls.Wait()
	l.transport.CloseIdleConnections()
	l.conns.close()
	return nil
}
