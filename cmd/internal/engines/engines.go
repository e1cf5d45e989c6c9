package engines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"skein/fanout/eventlog"
	embeddedlog "skein/fanout/eventlog/embedded"
	"skein/feed"
	"skein/storage"
	embeddedstorage "skein/storage/embedded"
	"skein/timeline"
)

// Options is what all engines share.
type Options struct {
	// Topics of the event log. Each post comes into the first.
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

	// topic is one that the log has.
	topic string
	// closers, in the order of opening.
	closers []io.Closer
	// checkpoints make copies of the embedded engines, in the order in which
	// that is sound; see the package comment.
	checkpoints []checkpoint
	// What is embedded, nil else.
	localStorage *embeddedstorage.Store
	localLog     *embeddedlog.Log
}

const (
	storageFolder = "storage"
	logFolder     = "log"
)

// Open opens every engine that c names, which must be valid. For those on disk it
// takes the data directory for this process, making it if need be. After an error
// nothing is left open. The error is one line for an operator, and comes soon.
func Open(ctx context.Context, c Config, o Options) (*Set, error) {
	s := &Set{}
	if err := s.open(ctx, c, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Set) open(ctx context.Context, c Config, o Options) (err error) {
	if onDisk, _ := c.OnDisk(); onDisk {
		gone := c.Log == nameEmbedded && isEmpty(filepath.Join(c.DataDir, logFolder)) && !isEmpty(filepath.Join(c.DataDir, storageFolder))
		if gone {
			defer func() {
				if err == nil {
					warnLogGone(c, o)
				}
			}()
		}
		if err := makeFolders(c.DataDir, storageFolder, logFolder); err != nil {
			return err
		}
		if err := s.hold(c.DataDir); err != nil {
			return err
		}
	}
	if err := s.openStorage(ctx, c, o); err != nil {
		return err
	}
	if err := s.openLog(ctx, c, o); err != nil {
		return err
	}
	if err := s.checkTail(ctx, c.DataDir); err != nil {
		return err
	}
	return s.openTimelines(ctx, c, o)
}

// isEmpty reports whether a folder is missing, or has nothing in it.
func isEmpty(folder string) bool {
	entries, err := os.ReadDir(folder)
	return len(entries) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}

// warnLogGone says what is lost with a log that somebody removed. What waits in the
// outbox comes into the new one.
func warnLogGone(c Config, o Options) {
	lost := "only what was set aside (skein deadletters): timelines are rebuilt from storage"
	if c.Timelines != nameMemory {
		lost = "what was set aside (skein deadletters), and in stored timelines the posts that were not delivered yet"
	}
	o.Logger.Warn("the event log was gone, and an empty one was begun", "folder", filepath.Join(c.DataDir, logFolder), "lost", lost)
}

// hold takes the data directory until Close.
func (s *Set) hold(dir string) error {
	held, err := lock(dir)
	if err != nil {
		return err
	}
	opened(s, held)
	// The lock was free, so no restore is under way.
	if _, err := os.Lstat(filepath.Join(dir, restoreFolder)); err == nil {
		return fmt.Errorf("a restore to %s did not come to its end; remove all of %s (rm -r) and restore again", dir, dir)
	}
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
