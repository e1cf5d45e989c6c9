package engines

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile holds the process id of the one that has the data directory.
const lockFile = "LOCK"

// ErrInUse is in the error of whoever finds that another process has the data
// directory.
var ErrInUse = errors.New("in use by another skein")

// Look takes the data directory for looking at it: beside others who look, and not
// beside one that changes it. It changes nothing, so a directory that no process
// ever had, such as a backup, is not locked. One of the engines' folders may be missing.
func Look(dir string) (io.Closer, error) {
	_, err := os.Stat(filepath.Join(dir, storageFolder))
	if _, logErr := os.Stat(filepath.Join(dir, logFolder)); err != nil && logErr != nil {
		return nil, fmt.Errorf("there is no data in %s (%w); name another with --data-dir", dir, err)
	}
	file, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(nil), engineHas(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot lock the data directory: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		err = fmt.Errorf("the data directory %s is %w", dir, err)
	} else {
		err = engineHas(dir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// engineHas says which engine's folder another process has. The lock of the directory
// covers them, unless its file was removed below a server. Not for a process that has
// them open: closing the file gives up its own lock.
func engineHas(dir string) error {
	for _, name := range []string{storageFolder, logFolder} {
		file, err := os.Open(filepath.Join(dir, name, lockFile))
		if err != nil {
			continue // who reads the folder will say
		}
		held := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		err = unix.FcntlFlock(file.Fd(), unix.F_GETLK, &held)
		_ = file.Close() // nothing was written
		if err == nil && held.Type != unix.F_UNLCK {
			return fmt.Errorf("the folder %s is %w (process %d)", filepath.Join(dir, name), ErrInUse, held.Pid)
		}
	}
	return nil
}

// refuseBackup says why nothing may be written to dir, if it is a backup: a change
// to it would be found only when it is restored.
func refuseBackup(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, backupFile)); err != nil {
		return nil
	}
	return fmt.Errorf("%s is a backup, and must stay as it is; restore it first: skein restore %s --data-dir DIR", dir, dir)
}

// lock takes the data directory for this process; closing the file gives it
// back, as does any death of the process. It stands before the engines, whose
// own locks guard a folder each and tell nothing of who has it. A backup is nobody's
// to take.
func lock(dir string) (io.Closer, error) {
	if err := refuseBackup(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, lockFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the data directory: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		owner, _ := io.ReadAll(io.LimitReader(file, 32))
		_ = file.Close() // nothing was written
		return nil, fmt.Errorf("the data directory %s is %w (process %s); stop it, or choose another --data-dir",
			dir, ErrInUse, strings.TrimSpace(string(owner)))
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", path, err), file.Close())
	}
	return file, nil
}

// makeFolders makes the data directory and the folders in it, readable by this
// user alone, and makes sure that they are still there after a power failure.
func makeFolders(dir string, names ...string) error {
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return fmt.Errorf("cannot make the data directory: %w", err)
		}
	}
	return errors.Join(syncFolder(dir), syncFolder(filepath.Dir(filepath.Clean(dir))))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot open the data directory: %w", err)
	}
	if err := folder.Sync(); err != nil {
		return errors.Join(fmt.Errorf("cannot sync %s: %w", path, err), folder.Close())
	}
	return folder.Close()
}
