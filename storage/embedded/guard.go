package embedded

import (
	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardFS marks the store as failed at the first error of a write, before Pebble
// sees it. Pebble would panic when it next closes a log that failed, with a lock
// in a state that no recover can mend; and would go on accepting writes for as
// long as memory lasts when a flush meets a full disk. It looks at the store's own
// folder only.
type guardFS struct {
	vfs.FS
	fault *fault
}

func (g guardFS) Unwrap() vfs.FS { return g.FS }

func (g guardFS) check(err error) error {
	if err != nil {
		g.fault.fail(err)
	}
	return err
}

func (g guardFS) file(name string, f vfs.File, err error) (vfs.File, error) {
	if !g.ours(name) {
		return f, err
	}
	if g.check(err) != nil {
		return nil, err
	}
	return guardFile{File: f, guard: g}, nil
}

func (g guardFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, category)
	return g.file(name, f, err)
}

func (g guardFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, category)
	return g.file(newname, f, err)
}

func (g guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	return g.file(name, f, err)
}

func (g guardFS) Rename(oldname, newname string) error {
	err := g.FS.Rename(oldname, newname)
	if !g.ours(newname) {
		return err
	}
	return g.check(err)
}

// guardFile watches the writes and syncs of one file or folder.
type guardFile struct {
	vfs.File
	guard guardFS
}

func (f guardFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.guard.check(err)
}

func (f guardFile) Sync() error { return f.guard.check(f.File.Sync()) }

func (f guardFile) SyncData() error { return f.guard.check(f.File.SyncData()) }

func (f guardFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.guard.check(err)
}
