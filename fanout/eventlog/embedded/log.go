package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/fanout/eventlog"
	"skein/feed"
)

// DefaultRetention is how long records are kept that every group has done.
const DefaultRetention = 24 * time.Hour

// Options of a log. The zero value is the usual one.
type Options struct {
	// FS is where the folder lies; nil for the disk.
	FS vfs.FS
	// Clock tells append times; nil for time.Now.
	Clock feed.Clock
	// Logger is nil for slog.Default().
	Logger *slog.Logger
	// OnFatal is called once when the store has failed. It should end the
	// process, and must not call the log: Pebble's locks may be held. If it
	// returns, all calls fail from then on. Open calls it only for a disk that
	// does not take what the last run left to write, and cannot return then.
	// Nil logs one line and exits with 1.
	OnFatal func(error)
	// Retention is how long after its append a record is kept at least; 0 for
	// DefaultRetention. Records that some group has still to do are always kept.
	Retention time.Duration
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.OnFatal == nil {
		o.OnFatal = exit(o.Logger)
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	return o
}

// Log is an event log in a folder. Make one with Open. It implements
// eventlog.Log; its locks and invariants are in the package comment.
type Log struct {
	db        *pebble.DB
	fate      *fate
	clock     feed.Clock
	logger    *slog.Logger
	retention time.Duration
	topics    map[string]*topic // not changed after Open

	// live ends, with the reason, when Close begins or the store has failed.
	live context.Context
	end  context.CancelCauseFunc

	mu struct {
		sync.Mutex
		closing bool // no more Consume
		closed  bool // no more calls
	}
	consumers, calls sync.WaitGroup
	closed           chan struct{} // closed when Close is through
}

var _ eventlog.Log = (*Log)(nil)

var errClosed = feed.Unavailable("use the event log", fmt.Errorf("it is closed"))

func (l *Log) topic(name string) (*topic, error) {
	t, ok := l.topics[name]
	if !ok {
		return nil, fmt.Errorf("event log: topic %q is unknown; name it when the log is opened", name)
	}
	return t, nil
}

// enter begins a call for a topic; leave, which is not nil only then, ends it.
func (l *Log) enter(ctx context.Context, name string) (t *topic, leave func(), err error) {
	if t, err = l.topic(name); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, feed.Unavailable("use the event log", err)
	}
	if err := l.fate.failed(); err != nil {
		return nil, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return nil, nil, errClosed
	}
	l.calls.Add(1)
	return t, l.calls.Done, nil
}

// Close stops the members of all groups, waits until their handles and all
// calls have returned, and closes the store. Handles may commit until then.
// Closing twice is closing once.
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
	l.end(errClosed)
	l.consumers.Wait()

	l.mu.Lock()
	l.mu.closed = true
	l.mu.Unlock()
	if err := l.fate.failed(); err != nil {
		return err
	}
	l.calls.Wait()
	if err := l.db.Close(); err != nil {
		return fmt.Errorf("close the event log in %s: %w", l.fate.dir, err)
	}
	return nil
}
