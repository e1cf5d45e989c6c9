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
	sum := sha256.Sum256(append([]byte("skein identity "), key...))
	id := hex.EncodeToString(sum[:16])
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
