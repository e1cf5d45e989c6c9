package servers

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// Lock makes the file path, holds it against other processes and returns what
// gives it back. It waits for another holder until ctx ends. A process that ends
// gives its locks back, however it ends. The folder of path must be there.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	var file *os.File
	wait := until(ctx, func() bool {
		file, err = tryLock(path)
		return file != nil || err != nil
	})
	if wait != nil {
		return nil, fmt.Errorf("another process holds %s: %w", path, wait)
	}
	if err != nil {
		return nil, err
	}
	return func() {
		_ = os.Remove(path) // tryLock knows of this
		_ = file.Close()
	}, nil
}

// tryLock returns nil and no error if another holds the lock now.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		// Its last holder may have removed it since we opened it: then the next
		// one locks another file of that name.
		ours, err := file.Stat()
		now, nowErr := os.Stat(path)
		if err == nil && nowErr == nil && os.SameFile(ours, now) {
			return file, nil
		}
	}
	_ = file.Close()
	return nil, nil
}
