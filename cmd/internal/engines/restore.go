package engines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// restoreFolder, in the data directory, holds what was copied until it is verified.
const restoreFolder = "restore" + partial

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
// storage that it is of last. After an error nothing is left in dir.
func Restore(ctx context.Context, b Backup, from, dir string, now time.Time, step func(bytes int64), verify func(folder string) error) (err error) {
	if now.Before(b.Time) {
		return fmt.Errorf("the backup is of %s and this machine's clock says %s: set it right, or ids may be given twice",
			b.Time.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if err := checkEmpty(dir, "a restore wants a new or empty --data-dir (of one that was killed, remove all that it left)"); err != nil {
		return err
	}
	if err := makeFolders(dir, restoreFolder); err != nil {
		return err
	}
	held, err := lock(dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, emptied(dir))
		}
		err = errors.Join(err, held.Close())
	}()
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
	if err := compareFiles(b.Files, files); err != nil {
		return err
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

// compareFiles holds what was read against what was written.
func compareFiles(written, read []File) error {
	found := map[string]File{}
	for _, f := range read {
		found[f.Path] = f
	}
	for _, f := range written {
		if found[f.Path] != f {
			return errDiffers(f.Path)
		}
		delete(found, f.Path)
	}
	for path := range found {
		return errDiffers(path)
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
