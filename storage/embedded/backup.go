package embedded

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
)

// Checkpoint makes a store in folder to, which must not exist, that holds
// everything acknowledged before the call and is as this one was at a moment
// during it. It is cheap on the same file system: tables are hard links, as they
// never change, and only the log is copied; but links keep what this store throws
// away later on the disk, so the caller copies the folder and removes it soon.
//
// After an error this store goes on; the caller removes what there is of the folder.
func (s *Store) Checkpoint(ctx context.Context, to string) error {
	const doing = "make a checkpoint of the store"
	if err := s.enter(ctx, doing); err != nil {
		return err
	}
	defer s.leave()
	if err := checkpoint(s.db, to); err != nil {
		return feed.Unavailable(doing, fmt.Errorf("in %s: %w", to, err))
	}
	return s.failed()
}

// checkpoint turns a panic of Pebble over a folder that cannot be synced into an
// error. Pebble holds no lock there.
func checkpoint(db *pebble.DB, to string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return db.Checkpoint(to, pebble.WithFlushedWAL())
}

// ours reports whether a file is the store's. What happens to any other, such as
// a checkpoint's, cannot harm it.
func (g guardFS) ours(name string) bool {
	dir := filepath.Clean(g.fault.dir)
	name = filepath.Clean(name)
	return name == dir || strings.HasPrefix(name, dir+string(filepath.Separator))
}
