package servers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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
