package engines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
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
	if _, err := os.Lstat(to + partial); err == nil {
		return fmt.Errorf("%s is there: a backup to %s was killed, or is being made; if none is, remove it (rm -r) and try again", to+partial, to)
	}
	if within(dir, to) {
		return fmt.Errorf("%s is inside the data directory %s; a backup belongs elsewhere, best on another disk", to, dir)
	}
	return nil
}

// checkEmpty says why something cannot be written to folder: it may be missing, or
// empty.
func checkEmpty(folder, advice string) error {
	entries, err := os.ReadDir(folder)
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

func within(dir, path string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if path, err = filepath.Abs(path); err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
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
