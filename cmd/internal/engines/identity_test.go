package engines

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skein/fanout/eventlog"
)

// A storage that was removed or replaced while the rest of the data directory was
// kept would begin empty without a word. Open refuses it; with nothing changed, or
// with only the log removed, which loses nothing, it opens.
func TestStorageThatWasNotHereBefore(t *testing.T) {
	open := func(dir string) error {
		config := DefaultConfig()
		config.DataDir = dir
		set, err := Open(t.Context(), config, Options{Topics: []eventlog.Topic{{Name: "posts", Partitions: 1}}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		return set.Close()
	}
	dir := filepath.Join(t.TempDir(), "data")
	for _, step := range []string{"first", "again"} {
		if err := open(dir); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, logFolder)); err != nil {
		t.Fatal(err)
	}
	if err := open(dir); err != nil {
		t.Fatalf("without its log: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, storageFolder)); err != nil {
		t.Fatal(err)
	}
	err := open(dir)
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "not the storage that was here before") {
		t.Errorf("without its storage: %v", err)
	}
}
