package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/internal/readonly"
)

// fate remembers whether the store has failed. Pebble writes to it (as its
// logger and its listener), every call asks it. It is safe for concurrent use.
type fate struct {
	dir     string
	logger  *slog.Logger
	onFatal func(error)

	mu struct {
		sync.Mutex
		opened bool  // before that, a failure of a call is Open's to return
		err    error // the first failure
		stop   func(error)
	}
}

// failed returns the error with which every call ends once the store has failed.
func (f *fate) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.err
}

// fail remembers the first failure before anybody is told of it, so that
// nothing is acknowledged after it, even if onFatal returns.
func (f *fate) fail(cause error) { f.remember(cause, false) }

// background is fail for flushes and compactions. Pebble would repeat them for
// ever, Open included, so that nobody else could tell.
func (f *fate) background(cause error) { f.remember(cause, true) }

func (f *fate) remember(cause error, tell bool) {
	err := feed.Unavailable("use the event log in "+f.dir, fmt.Errorf(
		"its store failed (%s): %w", readonly.Advice(cause), readonly.Plain(cause)))
	f.mu.Lock()
	first := f.mu.err == nil
	if first {
		f.mu.err = err
	}
	opened, stop := f.mu.opened, f.mu.stop
	f.mu.Unlock()
	if first && opened {
		stop(err)
	}
	if first && (opened || tell) {
		f.onFatal(err)
	}
}

// open ends the time in which failures are Open's. It returns an earlier one.
func (f *fate) open(stop func(error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.opened, f.mu.stop = true, stop
	return f.mu.err
}

// exit is the default OnFatal: a process whose log is broken must not go on.
func exit(logger *slog.Logger) func(error) {
	return func(err error) {
		logger.Error("the event log failed, stopping", "error", err)
		os.Exit(1)
	}
}

// Infof, Errorf and Fatalf make it Pebble's logger.
func (f *fate) Infof(format string, args ...any) {
	f.logger.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Errorf is Infof for what somebody should look at.
func (f *fate) Errorf(format string, args ...any) {
	f.logger.Error("pebble: "+fmt.Sprintf(format, args...), "folder", f.dir)
}

// Fatalf is called by Pebble, perhaps with its locks held, when it cannot go on.
func (f *fate) Fatalf(format string, args ...any) { f.fail(fmt.Errorf(format, args...)) }

// listener makes failures of flushes and compactions ours, and damage.
func (f *fate) listener() *pebble.EventListener {
	l := &pebble.EventListener{
		BackgroundError: f.background,
		DataCorruption:  func(info pebble.DataCorruptionInfo) { f.fail(readonly.Corruption(info)) },
	}
	l.EnsureDefaults(f)
	return l
}

var errPebblePanic = errors.New("pebble panicked")

// recovered turns a panic of Pebble into a failure: it panics when it cannot
// close a write-ahead log or begin another.
func recovered(p any) error {
	if err, ok := p.(error); ok {
		return fmt.Errorf("%w: %w", errPebblePanic, err)
	}
	return fmt.Errorf("%w: %v", errPebblePanic, p)
}

// apply hands a batch to Pebble, in the order of the calls. The caller holds the
// topic's order lock, and then waits outside of it.
func (l *Log) apply(b *pebble.Batch) error {
	return l.guarded(func() error { return l.db.ApplyNoSyncWait(b, pebble.Sync) })
}

// wait returns nil when a batch, and all before it, are on disk.
func (l *Log) wait(b *pebble.Batch) error {
	if err := l.guarded(b.SyncWait); err != nil {
		return err // the batch is Pebble's for ever
	}
	return b.Close()
}

// guarded runs a write. Its answer is not believed when the store has failed.
func (l *Log) guarded(write func() error) error {
	if err := l.fate.failed(); err != nil {
		return err
	}
	func() {
		defer func() {
			if p := recover(); p != nil {
				l.fate.fail(recovered(p))
			}
		}()
		if err := write(); err != nil {
			l.fate.fail(err)
		}
	}()
	return l.fate.failed()
}
