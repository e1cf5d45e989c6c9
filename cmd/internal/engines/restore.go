package engines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// restoreFolder, in the data directory, holds what was copied until it is verified.
const restoreFolder = "restore" + partial

const wantsEmpty = "a restore wants a new or empty --data-dir (of one that was killed, remove all that it left)"

// ReadBackup returns what is known of the backup in a folder.
func ReadBackup(folder string) (b Backup, err error) {
	text, err := os.ReadFile(filepath.Join(folder, backupFile))
	if err != nil {
		return b, fmt.Errorf("%s is no backup: %w", folder, err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("cannot read %s of the backup: %w", backupFile, err)
	}
	if b.Schema != backupSchema {
		return b, fmt.Errorf("the backup in %s is of the form %q, this program reads %q", folder, b.Schema, backupSchema)
	}
	return b, nil
}

// Restore makes dir a data directory with what is in a backup. dir may be missing or
// empty. Every file is copied and held against its digest, then verify looks at the
// copy. Until it is whole no server starts on dir: the identity comes first, the
// storage that it is of last. After an error dir is as it was.
func Restore(ctx context.Context, b Backup, from, dir string, now time.Time, step func(bytes int64), verify func(folder string) error) (err error) {
	if now.Before(b.Time) {
		return fmt.Errorf("the backup is of %s and this machine's clock says %s: set it right, or ids may be given twice",
			b.Time.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if err := checkEmpty(dir, wantsEmpty); err != nil {
		return err
	}
	if within(from, dir) {
		return fmt.Errorf("%s is inside the backup %s; restore to another folder", dir, from)
	}
	_, err = os.Lstat(dir)
	made := errors.Is(err, fs.ErrNotExist)
	if err := makeFolders(dir, "."); err != nil {
		return err
	}
	held, err := lock(dir)
	if err != nil {
		return err
	}
	// Another restore may have been faster, and what it made is not ours to remove.
	if err := checkEmpty(dir, wantsEmpty, lockFile); err != nil {
		return errors.Join(err, held.Close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, emptied(dir))
		}
		if err != nil && made {
			err = errors.Join(err, os.Remove(dir))
		}
		err = errors.Join(err, held.Close())
	}()
	if err := makeFolders(dir, restoreFolder); err != nil {
		return err
	}
	if err := copyIdentity(from, dir); err != nil {
		return fmt.Errorf("cannot restore: %w", err)
	}
	if err := syncFolder(dir); err != nil {
		return err
	}
	unfinished := filepath.Join(dir, restoreFolder)
	files, err := copyData(ctx, from, unfinished, step)
	if err != nil {
		return fmt.Errorf("cannot restore: %w", err)
	}
	if differ := compareFiles(b.Files, files); len(differ) > 0 {
		return fmt.Errorf("the backup is damaged: %s; take another one", changed(differ[0]))
	}
	if err := verify(unfinished); err != nil {
		return err
	}
	for _, name := range []string{logFolder, storageFolder} {
		if err := intoPlace(filepath.Join(unfinished, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("cannot restore: %w", err)
		}
		if err := syncFolder(dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(unfinished)
}

// compareFiles holds what was read against what was written, and returns the paths
// that differ.
func compareFiles(written, read []File) (differ []string) {
	found := map[string]File{}
	for _, f := range read {
		found[f.Path] = f
	}
	for _, f := range written {
		if found[f.Path] != f {
			differ = append(differ, f.Path)
		}
		delete(found, f.Path)
	}
	return slices.AppendSeq(differ, maps.Keys(found))
}

// changed says what is the matter with a file of a backup that differs.
func changed(path string) string { return path + " was changed after the backup was made" }

// CheckBackup tells found of each file of a backup that is not as it was written,
// and changes nothing. begin is told how many bytes it reads, before it does, and step
// of those read. Of a folder that is no backup it says nothing. The error is ctx's.
func CheckBackup(ctx context.Context, folder string, begin, step func(bytes int64), found func(detail string)) error {
	b, err := ReadBackup(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		found(err.Error())
		return nil
	}
	begin(b.Bytes())
	var files []File
	unread := map[string]bool{} // of these nobody knows if they were changed
	err = eachFile(folder, func(rel string, isFolder bool) error {
		if isFolder {
			return nil
		}
		file, err := digest(ctx, filepath.Join(folder, rel), io.Discard, step)
		file.Path = filepath.ToSlash(rel)
		switch {
		case err == nil:
			files = append(files, file)
		case !errors.Is(err, fs.ErrNotExist) && context.Cause(ctx) == nil:
			unread[file.Path] = true
			found(fmt.Sprintf("cannot read %s: %s", file.Path, err))
		}
		return context.Cause(ctx)
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		found(fmt.Sprintf("cannot read all of it: %s", err))
		return nil
	}
	for _, path := range compareFiles(b.Files, files) {
		if !unread[path] {
			found(changed(path))
		}
	}
	return nil
}

// emptied removes what a restore put into dir; that the lock is there harms nobody,
// but it is held, and the directory shall be as it was.
func emptied(dir string) error {
	var errs []error
	for _, name := range []string{restoreFolder, storageFolder, logFolder, identityFile, lockFile} {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}
