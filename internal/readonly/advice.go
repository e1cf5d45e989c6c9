package readonly

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// ErrDamaged is in the errors of an engine that read what it cannot have written.
var ErrDamaged = errors.New("this is not what was written")

// Advice is what an operator should do about an error of Pebble over a folder. Only
// what is known to be damage is called so: who reads that word may throw a sound
// folder away.
func Advice(err error) string {
	system, _ := errors.AsType[syscall.Errno](err)
	switch system {
	case syscall.EMFILE, syscall.ENFILE:
		return "let the process open more files (ulimit -n), then start again: nothing acknowledged is lost"
	case syscall.ENOSPC, syscall.EDQUOT:
		return "make room on the disk, then start again: nothing acknowledged is lost"
	case syscall.EACCES, syscall.EPERM, syscall.ENOTDIR, syscall.EROFS:
		return "see that it is a folder which this user may read and write, then start again: nothing acknowledged is lost"
	}
	if pebble.IsCorruptionError(err) || errors.Is(err, ErrDamaged) || errors.Is(err, os.ErrNotExist) {
		return "it is damaged: skein check says where; keep the folder aside, and restore the latest backup that is sound (skein restore)"
	}
	return "look at the disk: space, health, permissions; then start again; if it fails again, skein check says what is damaged"
}

// Plain is err without what Pebble adds for its own developers.
func Plain(err error) error {
	if pebble.ExtractDataCorruptionInfo(err) == nil {
		return err
	}
	_, said := inOneLine(err)
	return plain{err, said}
}

type plain struct {
	error
	said string
}

func (p plain) Error() string { return p.said }
func (p plain) Unwrap() error { return p.error }

// Corruption is what Pebble tells its listener, as an error that names the file.
func Corruption(info pebble.DataCorruptionInfo) error {
	return fmt.Errorf("the file %s is damaged: %w", filepath.Base(info.Path), info.Details)
}
