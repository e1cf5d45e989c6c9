// Package readonly is for looking at a folder of Pebble that must not change, as the
// offline checks of both embedded engines do: a file system that refuses every change,
// and what Pebble cannot read in words for an operator. The engines themselves use these
// words, too. It knows nothing of what they keep.
package readonly

import (
	"errors"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var errReadOnly = errors.New("this folder is only looked at, never changed")

// FS is base without its changes: not even the file is made that Pebble makes to lock
// a folder. Every call that would change something fails.
func FS(base vfs.FS) vfs.FS { return fs{base} }

type fs struct{ vfs.FS }

func (f fs) Unwrap() vfs.FS { return f.FS }

func (fs) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errReadOnly }
func (fs) Link(string, string) error                              { return errReadOnly }
func (fs) Remove(string) error                                    { return errReadOnly }
func (fs) RemoveAll(string) error                                 { return errReadOnly }
func (fs) Rename(string, string) error                            { return errReadOnly }
func (fs) MkdirAll(string, os.FileMode) error                     { return errReadOnly }
func (fs) Lock(string) (io.Closer, error)                         { return io.NopCloser(nil), nil }

func (fs) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errReadOnly
}

func (fs) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errReadOnly
}
