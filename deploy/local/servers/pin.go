package servers

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Pin fetches all that has a checksum, for every platform, and writes the
// checksums to out in the form of checksums.txt. Nothing of it is kept.
func Pin(ctx context.Context, out io.Writer) error {
	all := []artifacts{kafkaArtifacts(), cassandraArtifacts()}
	for _, platform := range [][2]string{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}} {
		all = append(all, postgresArtifactsFor(platform[0], platform[1]))
	}
	for _, a := range all {
		fetch := func(folder string) error { return copyDependencies(ctx, folder, a.coordinates) }
		if err := pin(out, a.name, fetch); err != nil {
			return err
		}
	}
	pip, err := findPip()
	if err != nil {
		return err
	}
	return pin(out, wheelName, func(folder string) error { return downloadWheel(ctx, pip, folder, nil) })
}

// pin writes the checksums of what fetch puts into a folder.
func pin(out io.Writer, name string, fetch func(folder string) error) error {
	folder, err := os.MkdirTemp("", "pin")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := fetch(folder); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		sum, err := sum(filepath.Join(folder, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s  %s/%s\n", sum, name, entry.Name())
	}
	return nil
}
