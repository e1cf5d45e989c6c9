package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"skein/fanout/eventlog"
)

// refused opens a folder that must not open, and looks for words in the error.
func refused(t *testing.T, dir string, topics []eventlog.Topic, words ...string) {
	t.Helper()
	l, err := Open(dir, topics, Options{OnFatal: func(err error) { t.Errorf("OnFatal instead of an error: %v", err) }})
	if err == nil {
		l.Close()
		t.Fatal("the folder opened")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error should say %q: %v", w, err)
		}
	}
}

func TestPartitionsAreFixed(t *testing.T) {
	dir := t.TempDir()
	if err := reopened(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, []eventlog.Topic{{Name: posts.Name, Partitions: 4}}, `"posts"`, "3 partitions, not 4")
	refused(t, dir, []eventlog.Topic{{Name: "none", Partitions: 0}}, `"none"`, "0 partitions")
	if err := reopened(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestForeignFolder(t *testing.T) {
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set([]byte("users"), nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, []eventlog.Topic{posts}, dir, "another store")

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, file, []eventlog.Topic{posts}, file)
}

// TestDamaged: damage is an error that names the folder, not a panic and not a
// log that has forgotten something.
func TestDamaged(t *testing.T) {
	for _, pattern := range []string{"MANIFEST-*", "*.sst", "*.log"} {
		t.Run(pattern, func(t *testing.T) {
			dir := t.TempDir()
			for range 2 { // the second start makes a table of the first one's log
				l := reopened(t, dir)
				for range 50 {
					record := eventlog.Record{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 4096)}
					if err := l.Append(t.Context(), posts.Name, record); err != nil {
						t.Fatal(err)
					}
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			damage(t, filepath.Join(dir, pattern))
			refused(t, dir, []eventlog.Topic{posts}, dir, "damaged", "restore")
		})
	}
}

// A log without the marker of its manifest is begun anew by Pebble, which replays what
// was not in a table yet: that is our own log, damaged, and not another store.
func TestMarkerGone(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second start makes a table of what the first one wrote
		l := reopened(t, dir)
		must(t, l.Append(t.Context(), posts.Name, eventlog.Record{Key: []byte("k"), Value: []byte("v")}))
		must(t, l.Close())
	}
	markers, err := filepath.Glob(filepath.Join(dir, "marker.manifest*"))
	must(t, err)
	for _, marker := range markers {
		must(t, os.Remove(marker))
	}
	refused(t, dir, []eventlog.Topic{posts}, dir, "it is damaged: skein check")
}

// What the operating system refuses is no damage: a sound log may not be called so.
func TestRefusedByTheSystem(t *testing.T) {
	for refusal, words := range map[syscall.Errno]string{
		syscall.EMFILE: "ulimit -n", syscall.EACCES: "this user may read", syscall.ENOSPC: "make room", syscall.EIO: "look at the disk",
	} {
		t.Run(refusal.Error(), func(t *testing.T) {
			var refusing atomic.Bool
			disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if refusing.Load() && (op.Kind == errorfs.OpOpen || op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpOpenDir) {
					return refusal
				}
				return nil
			}))
			opts := Options{FS: disk, OnFatal: func(err error) { t.Errorf("OnFatal instead of an error: %v", err) }}
			l, err := Open("log", []eventlog.Topic{posts}, opts)
			must(t, err)
			must(t, l.Close())
			refusing.Store(true)
			if l, err = Open("log", []eventlog.Topic{posts}, opts); err == nil {
				l.Close()
				t.Fatal("the folder opened")
			}
			for _, word := range []string{"is damaged:", "restore"} {
				if strings.Contains(err.Error(), word) {
					t.Errorf("says %q: %v", word, err)
				}
			}
			if !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), refusal.Error()) {
				t.Errorf("should say %q: %v", words, err)
			}
		})
	}
}

// damage overwrites the middle of the largest file that matches.
func damage(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file %s (%v)", pattern, err)
	}
	var largest []byte
	var name string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > len(largest) {
			largest, name = data, f
		}
	}
	for i := len(largest) / 4; i < len(largest)*3/4; i++ {
		largest[i] ^= 0x5a
	}
	if err := os.WriteFile(name, largest, 0o600); err != nil {
		t.Fatal(err)
	}
}
