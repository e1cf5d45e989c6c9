package engines

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	embeddedstorage "skein/storage/embedded"
)

// identityFile holds the fingerprint of the storage for which the data directory
// was made. It tells a storage that was removed, emptied or replaced, while the
// rest of the directory was kept, from a new directory: it would begin empty, and
// every acknowledged post would be gone without a word.
const identityFile = "identity"

// checkIdentity compares the storage that was opened with the one that was here
// before, and remembers it the first time.
func checkIdentity(ctx context.Context, local store, dir string) error {
	key, err := local.TokenKey(ctx)
	if err != nil {
		return err
	}
	id := identityOf(key)
	path := filepath.Join(dir, identityFile)
	known, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.WriteFile(path, []byte(id+"\n"), 0o600)
	case err != nil:
		return fmt.Errorf("cannot read %s: %w", path, err)
	case strings.TrimSpace(string(known)) != id:
		return fmt.Errorf("%s in %s is not the storage that was here before: it was removed or replaced. Restore it from a copy, or move all of %s away to begin an empty one",
			storageFolder, dir, dir)
	}
	return nil
}

// identityOf is the identity of the storage that has this token key.
func identityOf(key []byte) string {
	sum := sha256.Sum256(append([]byte("skein identity "), key...))
	return hex.EncodeToString(sum[:16])
}

// lastPosts is how many records at the end of each partition are held against storage.
const lastPosts = 64

// checkTail compares storage with the event log, where both are embedded: a storage
// whose last writes were lost, or that is an old copy, looks by itself like one after a
// crash.
func (s *Set) checkTail(ctx context.Context, dir string) error {
	if s.localStorage == nil || s.localLog == nil {
		return nil
	}
	posts, err := s.localLog.LastPosts(ctx, s.topic, lastPosts)
	if err != nil {
		return err
	}
	until := s.localStorage.GrantedUntil()
	for _, post := range posts {
		if post.Time().After(until.Add(embeddedstorage.MaxUngranted)) {
			return fmt.Errorf("%s in %s is older than the log beside it: it lost what was written after %s. Keep a copy of it, then restore the latest backup: skein restore BACKUP --data-dir DIR",
				storageFolder, dir, until.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
