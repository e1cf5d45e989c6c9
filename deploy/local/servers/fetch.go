package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cacheVariable names the cache folder, if set.
const cacheVariable = "SKEIN_ENGINES_CACHE"

// errMismatch is the error of a file that is not the one whose checksum is kept.
var errMismatch = errors.New("checksum mismatch")

// DefaultCache returns the folder of $SKEIN_ENGINES_CACHE, or .cache/engines
// in the [Repository].
func DefaultCache() (string, error) {
	if cache := os.Getenv(cacheVariable); cache != "" {
		return filepath.Abs(cache)
	}
	root, err := Repository()
	if err != nil {
		return "", fmt.Errorf("%w: set %s to a folder for fetched engines", err, cacheVariable)
	}
	return filepath.Join(root, ".cache", "engines"), nil
}

// Repository returns the nearest folder with a go.mod, from the current one
// upwards.
func Repository() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("no repository in %s or above it", start)
		}
	}
}

// missing says that engine cannot be had because of err, unless what came is
// not what was asked for, or the caller gave up: both must not look harmless.
func missing(engine string, err error, remedy string) error {
	if errors.Is(err, errMismatch) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cannot fetch %s: %w", engine, err)
	}
	why := strings.ReplaceAll(err.Error(), "\n", "; ")
	return &MissingError{Engine: engine, Why: why, Remedy: remedy}
}

// fetched returns the folder name of cache. If it is not there fill makes it,
// all of it or nothing, once however many processes ask.
func fetched(ctx context.Context, cache, name string, fill func(folder string) error) (string, error) {
	folder := filepath.Join(cache, name)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := Lock(ctx, folder+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	partial := folder + ".partial"
	if err := os.RemoveAll(partial); err != nil { // left by a crash
		return "", err
	}
	defer os.RemoveAll(partial)
	if err := os.Mkdir(partial, 0o755); err != nil {
		return "", err
	}
	if err := fill(partial); err != nil {
		return "", err
	}
	return folder, os.Rename(partial, folder)
}

// run runs a program of the system in folder and returns what it printed, also
// with an error, which holds the last line of it. When ctx ends all that it started is killed.
func run(ctx context.Context, folder, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), "LC_ALL=C")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	out, err := command.CombinedOutput()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err == nil {
		return string(out), nil
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return string(out), fmt.Errorf("%s: %w: %s", filepath.Base(name), err, lines[len(lines)-1])
}
