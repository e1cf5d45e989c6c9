package engines

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"skein/fanout/eventlog"
	embeddedlog "skein/fanout/eventlog/embedded"
	"skein/feed"
	"skein/storage"
	embeddedstorage "skein/storage/embedded"
	"skein/timeline"
	"skein/timeline/memory"
)

// Options is what all engines share.
type Options struct {
	// Topics of the event log.
	Topics []eventlog.Topic
	Clock  feed.Clock
	Logger *slog.Logger
	// OnFatal is called, from any goroutine, when an engine can not go on: its
	// disk is full or its files are damaged. What was acknowledged is safe.
	// The process must end; closing the engines may hang by then, and so may
	// Open: called during that, OnFatal must not return.
	OnFatal func(error)
}

// Set is a set of open engines, and owns them.
type Set struct {
	Posts     storage.Posts
	Graph     storage.Graph
	Log       eventlog.Log
	Timelines timeline.Store

	// closers, in the order of opening.
	closers []io.Closer
	// checkpoints make copies of the embedded engines, in the order in which
	// that is sound; see the package comment.
	checkpoints []checkpoint
}

const (
	storageFolder = "storage"
	logFolder     = "log"
)

// Open takes the data directory for this process, making it if need be, and
// opens every engine that c names. c must be valid. After an error nothing is
// left open. The error is one line for an operator.
func Open(c Config, o Options) (*Set, error) {
	if err := makeFolders(c.DataDir, storageFolder, logFolder); err != nil {
		return nil, err
	}
	s := &Set{}
	err := s.open(c, o)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Set) open(c Config, o Options) error {
	if err := s.openGraph(c, o); err != nil {
		return err
	}
	if err := s.checkIdentity(c.DataDir); err != nil {
		return err
	}
	log, err := embeddedlog.Open(filepath.Join(c.DataDir, logFolder), o.Topics,
		embeddedlog.Options{Clock: o.Clock, Logger: o.Logger, OnFatal: o.OnFatal})
	if err != nil {
		return err
	}
	s.Log = opened(s, log)
	s.checkpoints = append(s.checkpoints, checkpoint{logFolder, log.Checkpoint})
	s.Timelines = opened(s, memory.New(memory.Options{
		MaxBytes: int64(c.TimelineBytes), Idle: c.TimelineIdle, Clock: o.Clock,
	}))
	return nil
}

// OpenGraph opens the graph engine alone (Log, Timelines and, unless the same
// engine keeps them, Posts stay nil), for a command that runs while no server
// does. Unlike Open it makes no data directory.
func OpenGraph(c Config, o Options) (*Set, error) {
	if _, err := os.Stat(filepath.Join(c.DataDir, storageFolder)); err != nil {
		return nil, fmt.Errorf("there is no data in %s (%w); run skein serve on it once, or name another with --data-dir", c.DataDir, err)
	}
	s := &Set{}
	if err := s.openGraph(c, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openGraph takes the lock and opens what keeps the graph; the embedded engine
// keeps the posts as well.
func (s *Set) openGraph(c Config, o Options) error {
	held, err := lock(c.DataDir)
	if err != nil {
		return err
	}
	opened(s, held)
	store, err := embeddedstorage.Open(filepath.Join(c.DataDir, storageFolder),
		embeddedstorage.Options{Clock: o.Clock, Logger: o.Logger, OnFatal: o.OnFatal})
	if err != nil {
		return err
	}
	opened(s, store)
	s.checkpoints = append(s.checkpoints, checkpoint{storageFolder, store.Checkpoint})
	s.Posts, s.Graph = store, store
	return nil
}

// opened puts engine onto the stack of what Close closes.
func opened[E io.Closer](s *Set, engine E) E {
	s.closers = append(s.closers, engine)
	return engine
}

// Close closes what is open, last opened first, and gives the data directory
// back. It returns all errors. A second call does nothing.
func (s *Set) Close() error {
	var errs []error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		errs = append(errs, s.closers[last].Close())
		s.closers = s.closers[:last]
	}
	return errors.Join(errs...)
}
