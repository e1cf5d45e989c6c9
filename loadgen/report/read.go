package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	// FileName and PageName are the files of a run's folder.
	FileName = "report.json"
	PageName = "report.html"

	// maxFile bounds what Read takes into memory, in bytes.
	maxFile = 64 << 20
)

// Read reads a report that Write wrote, from a file, or from the FileName in a
// folder. What is not one, or is of another schema, is an error that names the
// file.
func Read(path string) (*Report, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the report: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the report: %w", err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("%s is larger than %d bytes; no report is", path, maxFile)
	}
	r := &Report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s is not a report of loadgen: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s is not a report that this loadgen reads: its schema is %q, not %q", path, r.Schema, Schema)
	}
	if r.Workload == "" || len(r.Figures) == 0 {
		return nil, fmt.Errorf("%s is not a report of a run: nothing is in it", path)
	}
	return r, nil
}
