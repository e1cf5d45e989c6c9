package engines

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// eachFile visits the engines' folders, each before what is in it, and their files;
// rel is the path below dir. The identity comes last.
func eachFile(dir string, visit func(rel string, folder bool) error) error {
	for _, name := range []string{storageFolder, logFolder} {
		err := filepath.WalkDir(throughLink(dir, name), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			if entry.IsDir() || entry.Type().IsRegular() && entry.Name() != lockFile {
				return visit(rel, entry.IsDir())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return visit(identityFile, false)
}

// throughLink is a folder in dir as a walk needs it, which does not follow a link at its
// root: with a separator at the end it is what the link leads to.
func throughLink(dir, name string) string {
	return filepath.Join(dir, name) + string(filepath.Separator)
}

// copyData copies the engines' folders and the identity, never by links: damage to
// one copy shall not be damage to the other. All of it is on the disk when it
// returns.
func copyData(ctx context.Context, from, to string, step func(int64)) (files []File, err error) {
	err = eachFile(from, func(rel string, folder bool) error {
		target := filepath.Join(to, rel)
		if folder {
			return os.Mkdir(target, 0o700)
		}
		file, err := copyFile(ctx, filepath.Join(from, rel), target, step)
		file.Path = filepath.ToSlash(rel)
		files = append(files, file)
		return err
	})
	for _, name := range []string{storageFolder, logFolder} {
		if err == nil {
			err = syncFolder(filepath.Join(to, name))
		}
	}
	return files, err
}

// copyFile copies one file, syncs it, and returns its length and digest.
func copyFile(ctx context.Context, from, to string, step func(int64)) (f File, err error) {
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if f, err = digest(ctx, from, target, step); err != nil {
		return f, err
	}
	return f, target.Sync()
}

// digest returns the length and digest of a file, and writes its content to copied.
func digest(ctx context.Context, path string, copied io.Writer, step func(int64)) (f File, err error) {
	source, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer source.Close()
	sum := sha256.New()
	f.Bytes, err = io.Copy(io.MultiWriter(copied, sum), counted{ctx, source, step})
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, err
}

// counted is a reader that tells of its bytes, and ends with a context.
type counted struct {
	ctx context.Context
	io.Reader
	step func(int64)
}

func (c counted) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	n, err := c.Reader.Read(p)
	c.step(int64(n))
	return n, err
}

// intoPlace renames a folder to one that is missing, or empty.
func intoPlace(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}

// writeSynced writes a small file that must not be there yet.
func writeSynced(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// DataBytes is how many bytes a copy of a data directory will have.
func DataBytes(dir string) (sum int64) {
	for _, name := range []string{storageFolder, logFolder} {
		_ = filepath.WalkDir(throughLink(dir, name), func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return nil // who copies will say
			}
			if info, err := entry.Info(); err == nil {
				sum += info.Size()
			}
			return nil
		})
	}
	return sum
}
