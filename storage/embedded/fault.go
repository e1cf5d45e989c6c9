package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"skein/internal/readonly"
)

// fault is the mark of a store that has failed. It is set once and never
// cleared.
type fault struct {
	dir     string
	log     *slog.Logger
	onFatal func(error)

	cause atomic.Pointer[error]

	mu struct {
		sync.Mutex
		// armed is false while Open runs: it returns the error by itself.
		armed    bool
		reported bool
	}
}

// fail marks the store, then tells OnFatal, which as a rule does not return. It
// may be called from any goroutine, Pebble's included.
func (f *fault) fail(err error) {
	err = fmt.Errorf("the store in %s cannot go on (%s): %w", f.dir, readonly.Advice(err), readonly.Plain(err))
	f.cause.CompareAndSwap(nil, &err)
	f.report(false)
}

// background is fail for flushes and compactions. Pebble repeats them for ever, in
// its Open too, which then does not return: so OnFatal is told even during Open.
func (f *fault) background(err error) {
	err = fmt.Errorf("the store in %s cannot write (%s): %w", f.dir, readonly.Advice(err), readonly.Plain(err))
	f.cause.CompareAndSwap(nil, &err)
	f.report(true)
}

// arm ends the grace of Open, and returns what failed during it.
func (f *fault) arm() error {
	f.mu.Lock()
	f.mu.armed = true
	f.mu.Unlock()
	return f.failed()
}

func (f *fault) report(early bool) {
	f.mu.Lock()
	first := (f.mu.armed || early) && !f.mu.reported
	f.mu.reported = f.mu.reported || first
	f.mu.Unlock()
	if first {
		f.onFatal(f.failed())
	}
}

// failed returns why the store failed, or nil.
func (f *fault) failed() error {
	if err := f.cause.Load(); err != nil {
		return *err
	}
	return nil
}

// exit is the default OnFatal.
func (f *fault) exit(err error) {
	f.log.Error(err.Error())
	os.Exit(1)
}

// pebbleLog is the Logger that Pebble gets. Its chatter is for debugging.
type pebbleLog struct{ *fault }

func (l pebbleLog) Infof(format string, args ...any) {
	if !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	l.log.Debug(fmt.Sprintf(format, args...), "from", "pebble")
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Warn(fmt.Sprintf(format, args...), "from", "pebble")
}

// Fatalf marks the store as failed. It returns if OnFatal does, and then Pebble
// goes on as if nothing had happened: see Store.commit.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.fail(fmt.Errorf(format, args...))
}
