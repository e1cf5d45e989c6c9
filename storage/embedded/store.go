package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/internal/readonly"
	"skein/storage"
)

var (
	_ storage.Posts = (*Store)(nil)
	_ storage.Graph = (*Store)(nil)
)

// Store is storage.Posts and storage.Graph in one folder. It is safe for
// concurrent use.
type Store struct {
	*fault
	db    *pebble.DB
	lock  *pebble.Lock
	clock feed.Clock

	existed  bool // the folder held data when it was opened
	token    []byte
	requests requests
	outbox   outbox
	leases   leases
	nextUser nextUser
	known    known
	latest   latest
	users    stripes // by user: its row and its follow set
	posts    stripes // by post: its deletion
	shared   sync.Mutex

	// calls counts those in flight, so that Close can wait for them.
	calls struct {
		sync.Mutex
		sync.WaitGroup
		closed bool
	}
}

// Open opens the store in dir, and makes the folder and the store when there is
// none. It completes what a crash left half done before it returns. Its errors
// name the folder and what to do.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	f := &fault{dir: dir, log: opts.Logger, onFatal: opts.OnFatal}
	if f.onFatal == nil {
		f.onFatal = f.exit
	}
	lock, err := lockFolder(dir, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{fault: f, lock: lock, clock: opts.Clock}
	if err := s.openLocked(opts); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func lockFolder(dir string, opts Options) (*pebble.Lock, error) {
	if err := opts.FS.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder %s (choose one that you may write to): %w", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, opts.FS)
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("cannot write to the folder %s (%s): %w", dir, readonly.Advice(err), err)
	}
	if err != nil {
		return nil, fmt.Errorf("the folder %s is in use by another process (stop that one, or choose another folder): %w", dir, err)
	}
	return lock, nil
}

func (s *Store) openLocked(opts Options) error {
	var err error
	if s.existed, err = holdsData(s.dir, opts); err != nil {
		return s.cannotOpen(err)
	}
	po := opts.tuned(s.fault)
	po.Lock = s.lock
	defer po.Cache.Unref()
	db, err := openPebble(s.dir, po)
	if err == nil {
		err = s.failed()
	}
	if err != nil {
		return s.cannotOpen(err)
	}
	s.db = db
	err = s.load()
	if err == nil {
		err = s.arm()
	}
	if err == nil {
		return nil
	}
	if s.failed() == nil {
		err = errors.Join(err, db.Close())
	}
	return s.cannotOpen(err)
}

// holdsData reports whether a store with anything in it was ever in dir: it has a
// table, or a log that is not empty. Pebble begins an empty store when the marker of
// its manifest is gone, and forgets what a cut manifest no longer names.
func holdsData(dir string, opts Options) (bool, error) {
	names, err := opts.FS.List(dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		switch filepath.Ext(name) {
		case ".sst":
			return true, nil
		case ".log":
			info, err := opts.FS.Stat(opts.FS.PathJoin(dir, name))
			if err != nil {
				return false, err
			}
			if info.Size() > 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// openPebble turns a panic of Pebble over a damaged folder into an error.
func openPebble(dir string, po *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return pebble.Open(dir, po)
}

// load reads what the store keeps in memory and completes what a crash left.
func (s *Store) load() error {
	for _, step := range []func() error{s.loadMeta, s.completeEvents, s.loadLatest, s.loadLeases, s.loadNextUser, s.loadKnown} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for the calls in flight, among them what Relay publishes, and
// closes the store. Later calls are feed.CodeUnavailable. A second Close does
// nothing. A store that has failed is not closed, and says why it failed.
func (s *Store) Close() error {
	s.calls.Lock()
	closed := s.calls.closed
	s.calls.closed = true
	s.calls.Unlock()
	if closed {
		return nil
	}
	if err := s.failed(); err != nil {
		return err
	}
	s.calls.Wait()
	s.flush()
	if err := errors.Join(s.db.Close(), s.lock.Close()); err != nil {
		return fmt.Errorf("cannot close the store in %s: %w", s.dir, err)
	}
	return nil
}

// flushTime is how long Close tries to leave an empty WAL: a disk that is full would
// have it wait for ever.
const flushTime = 5 * time.Second

// flush empties the WAL. Pebble takes damage near the end of one for what a crash tore,
// and drops it without a word; after a clean stop there is then nothing to drop. Where
// it fails nothing is lost: the WAL is read at the next Open.
func (s *Store) flush() {
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return
	}
	timer := time.NewTimer(flushTime)
	defer timer.Stop()
	select {
	case <-flushed:
	case <-timer.C:
	}
}

// enter begins a call; who gets no error must leave. Pebble panics when it is
// used after Close.
func (s *Store) enter(ctx context.Context, doing string) error {
	if err := ctx.Err(); err != nil {
		return feed.Unavailable(doing, err)
	}
	s.calls.Lock()
	defer s.calls.Unlock()
	if s.calls.closed {
		return feed.Unavailable(doing, errClosed)
	}
	if err := s.failed(); err != nil {
		return feed.Unavailable(doing, err)
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// Now implements storage.Posts. There is no clock but this process's.
func (s *Store) Now() time.Time { return s.clock() }

// millis is now in storage's unit of time, 0 before feed.Epoch.
func (s *Store) millis() int64 { return max(0, s.clock().Sub(feed.Epoch).Milliseconds()) }

func timeOf(millis uint64) time.Time {
	return feed.Epoch.Add(time.Duration(millis) * time.Millisecond)
}
