package servers

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// checksums has a line for each file that Maven or pip fetches, in the form of
// sha256sum: the sum, two spaces, the folder in the cache and the file's name.
// What apt-get fetches is signed. See Pin.
//
//go:embed checksums.txt
var checksums string

// sums returns the pinned checksums of a folder, by file.
func sums(name string) map[string]string {
	sums := map[string]string{}
	for line := range strings.Lines(checksums) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if path.Dir(file) == name {
			sums[path.Base(file)] = sum
		}
	}
	return sums
}

// verify returns an error unless folder holds exactly the files whose checksums
// are pinned under name.
func verify(folder, name string) error {
	want := sums(name)
	if len(want) == 0 {
		return fmt.Errorf("%s is not for this kind of machine", name)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		got, err := sum(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		if got != want[entry.Name()] {
			return fmt.Errorf("%w: %s of %s has the SHA-256 %s, pinned is %q", errMismatch, entry.Name(), name, got, want[entry.Name()])
		}
		delete(want, entry.Name())
	}
	for file := range want {
		return fmt.Errorf("%w: %s of %s did not come", errMismatch, file, name)
	}
	return nil
}

func sum(file string) (string, error) {
	content, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer content.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
