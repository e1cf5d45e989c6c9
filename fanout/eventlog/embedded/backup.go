package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
)

// Checkpoint makes a log in folder to, which must not exist, that holds everything
// acknowledged before the call and is as this one was at a moment during it. It is
// cheap on the same file system: tables are hard links, as they never change; but
// links keep what this log throws away later on the disk, so the caller copies the
// folder and removes it soon.
//
// After an error this log goes on; the caller removes what there is of the folder.
func (l *Log) Checkpoint(ctx context.Context, to string) error {
	const doing = "make a checkpoint of the event log"
	if err := ctx.Err(); err != nil {
		return feed.Unavailable(doing, err)
	}
	if err := l.fate.failed(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return errClosed
	}
	l.calls.Add(1)
	l.mu.Unlock()
	defer l.calls.Done()
	if err := checkpoint(l.db, to); err != nil {
		return feed.Unavailable(doing, fmt.Errorf("in %s: %w", to, err))
	}
	return l.fate.failed()
}

// checkpoint turns a panic of Pebble over a folder that cannot be synced into an
// error. Pebble holds no lock there.
func checkpoint(db *pebble.DB, to string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = recovered(p)
		}
	}()
	return db.Checkpoint(to, pebble.WithFlushedWAL())
}
