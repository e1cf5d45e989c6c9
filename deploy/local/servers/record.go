package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const recordFile = "server.json"

// record is what a server's folder tells of its last start.
type record struct {
	Spec    Spec
	Version string
	URL     string
	Ports   []int
	Pid     int
	// Birth tells this process from a later one with the same id.
	Birth string
}

func readRecord(dir string) (r record, err error) {
	content, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil || len(r.Ports) == 0 {
		return r, fmt.Errorf("%s is damaged; remove the folder (%v)", filepath.Join(dir, recordFile), err)
	}
	return r, nil
}

// writeRecord replaces the record in one step.
func writeRecord(dir string, r record) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, recordFile)
	if err := os.WriteFile(path+".new", append(content, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Lock takes the lock file path, which it makes when it is not there, and waits
// for it until ctx ends. The lock goes with the process, however it ends. The
// file stays: to remove it would give two processes a lock each.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("waiting for another process that holds %s (%w): %w", path, err, ctx.Err())
		case <-again.C:
		}
	}
}
