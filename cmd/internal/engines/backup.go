package engines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"skein/feed"
)

const (
	// checkpointFolder, in the data directory, holds the engines' checkpoints
	// while they are copied.
	checkpointFolder = "checkpoint"
	// backupFile tells of a backup, and makes a folder one.
	backupFile   = "backup.json"
	backupSchema = "skein.backup/v1"
	// partial ends the name of a backup that is not whole yet.
	partial = ".partial"
)

type checkpoint struct {
	folder string
	make   func(ctx context.Context, to string) error
}

// Checkpoint makes a consistent copy of the embedded engines, in a folder in dir,
// their data directory, that looks like one itself. It takes a moment and little
// room, but what the engines throw away meanwhile stays on the disk until Remove.
// One at a time.
func (s *Set) Checkpoint(ctx context.Context, dir string) (folder string, err error) {
	folder = filepath.Join(dir, checkpointFolder)
	if err := RemoveCheckpoint(dir); err != nil {
		return "", err
	}
	err = os.Mkdir(folder, 0o700)
	if err == nil {
		// Ids of posts that only the log's copy has lie little beyond this grant, also
		// after hours without one; see checkTail.
		_, err = s.Posts.Grant(ctx)
		if feed.CodeOf(err) == feed.CodeExhausted {
			err = nil // then grants end later still
		}
	}
	for _, c := range s.checkpoints {
		if err == nil {
			err = c.make(ctx, filepath.Join(folder, c.folder))
		}
	}
	if err == nil {
		err = copyIdentity(dir, folder)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("cannot make a checkpoint: %w", err), RemoveCheckpoint(dir))
	}
	return folder, nil
}

// RemoveCheckpoint removes the checkpoint in a data directory, if there is one; also
// one that a killed process left.
func RemoveCheckpoint(dir string) error {
	if err := os.RemoveAll(filepath.Join(dir, checkpointFolder)); err != nil {
		return fmt.Errorf("cannot remove an old checkpoint: %w", err)
	}
	return nil
}

func copyIdentity(from, to string) error {
	id, err := os.ReadFile(filepath.Join(from, identityFile))
	if err != nil {
		return err
	}
	return writeSynced(filepath.Join(to, identityFile), id)
}

// Backup is what is known of a backup.
type Backup struct {
	Schema string `json:"schema"`
	// Time is when it was begun: all that was acknowledged before is in it.
	Time  time.Time `json:"time"`
	Files []File    `json:"files"`
}

// File is one file of a backup.
type File struct {
	// Path below the backup, with slashes.
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Bytes is how large all files are together.
func (b Backup) Bytes() (sum int64) {
	for _, f := range b.Files {
		sum += f.Bytes
	}
	return sum
}

// CheckTarget says why to cannot become a backup of the data directory dir, or nil.
func CheckTarget(dir, to string) error {
	if err := checkEmpty(to, "choose another folder for the backup"); err != nil {
		return err
	}
	if err := checkPlace(to); err != nil {
		return err
	}
	if _, err := os.Lstat(to + partial); err == nil {
		return fmt.Errorf("%s is there: a backup to %s was killed, or is being made; if none is, remove it (rm -r) and try again", to+partial, to)
	}
	if within(dir, to) {
		return fmt.Errorf("%s is inside the data directory %s; a backup belongs elsewhere, best on another disk", to, dir)
	}
	return nil
}

// checkPlace says why a folder cannot give its place to another one with its name.
func checkPlace(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return nil // it is not there, or who makes it will say
	}
	here, err := os.Getwd()
	if abs, absErr := filepath.Abs(folder); err == nil && absErr == nil && abs == here {
		return fmt.Errorf("%s is the folder that this runs in; name a new one for the backup", folder)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s is a link; name a new folder for the backup", folder)
	}
	var own, above unix.Stat_t
	if unix.Stat(folder, &own) == nil && unix.Stat(filepath.Join(folder, ".."), &above) == nil && own.Dev != above.Dev {
		return fmt.Errorf("%s is where a disk is mounted; name a new folder in it for the backup", folder)
	}
	return nil
}

// checkEmpty says why something cannot be written to folder: it may be missing, or
// hold nothing but what is named.
func checkEmpty(folder, advice string, but ...string) error {
	entries, err := os.ReadDir(folder)
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return slices.Contains(but, e.Name()) })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot use %s: %w; %s", folder, err, advice)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty; %s", folder, advice)
	}
	return nil
}

// within reports whether path is dir or below it, whatever links lead there.
func within(dir, path string) bool {
	dir, err := resolved(dir)
	if err != nil {
		return false
	}
	if path, err = resolved(path); err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// resolved is an absolute path without links; its end need not exist.
func resolved(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
		return real, err
	}
	above, err := resolved(filepath.Dir(path))
	return filepath.Join(above, filepath.Base(path)), err
}

// WriteBackup copies a data directory, or a checkpoint of one, which nobody changes
// meanwhile, to the folder to, under another name until it is whole and verify has
// looked at it. began is the time that it stands for; step is told of bytes copied.
// After an error nothing is left of it, unless the process is killed.
func WriteBackup(ctx context.Context, from, to string, began time.Time, step func(bytes int64), verify func(folder string) error) (b Backup, err error) {
	unfinished := to + partial
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return b, fmt.Errorf("cannot make the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(unfinished))
		}
	}()
	b = Backup{Schema: backupSchema, Time: began.UTC()}
	if b.Files, err = copyData(ctx, from, unfinished, step); err != nil {
		return b, fmt.Errorf("cannot write the backup: %w", err)
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return b, err
	}
	if err := writeSynced(filepath.Join(unfinished, backupFile), append(text, '\n')); err != nil {
		return b, fmt.Errorf("cannot write the backup: %w", err)
	}
	if err := syncFolder(unfinished); err != nil {
		return b, err
	}
	if err := verify(unfinished); err != nil {
		return b, err
	}
	if err := intoPlace(unfinished, to); err != nil {
		return b, fmt.Errorf("cannot give the backup its name: %w", err)
	}
	return b, syncFolder(filepath.Dir(filepath.Clean(to)))
}
