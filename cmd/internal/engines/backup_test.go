package engines

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/storage"
)

func keyOf(u feed.UserID) []byte { return binary.BigEndian.AppendUint64(nil, uint64(u)) }

// openSet opens a set whose clock the test bends.
func openSet(t *testing.T, dir string, now *time.Time) *Set {
	t.Helper()
	config := DefaultConfig()
	config.DataDir = dir
	set, err := Open(t.Context(), config, Options{
		Topics: []eventlog.Topic{{Name: "posts", Partitions: 1}}, Logger: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return *now },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() })
	return set
}

// post writes a post of user 1, who is made.
func (s *Set) post(t *testing.T, now *time.Time) feed.PostID {
	t.Helper()
	_, _ = s.Graph.CreateUser(t.Context(), 1) // the first time
	id, err := feed.NewIDs(s.Posts, func() time.Time { return *now }).Next(t.Context())
	if err == nil {
		_, err = s.Posts.CreatePost(t.Context(), storage.Draft{Post: feed.Post{ID: id, Author: 1, Text: "honk"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// relay moves events from the outbox to the log; to nowhere if lose says so.
func (s *Set) relay(t *testing.T, lose bool) {
	t.Helper()
	_, err := s.Posts.Relay(t.Context(), 10, func(_ feed.PostID, events []storage.Event) error {
		for _, e := range events {
			if lose {
				continue
			}
			if err := s.Log.Append(t.Context(), "posts", eventlog.Record{Key: keyOf(e.Author), Post: e.Post}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checked returns what is wrong in a data directory, and what it holds.
func checked(t *testing.T, dir string) (lines []string, c Contents) {
	t.Helper()
	c, err := Check(t.Context(), dir, CheckOptions{
		Topics: []eventlog.Topic{{Name: "posts", Partitions: 1}}, Origin: "posts", Key: keyOf,
		Record: func(string, eventlog.Record) error { return nil },
		Found:  func(kind, detail string) { lines = append(lines, kind+": "+detail) },
		Step:   func(int64) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, c
}

// F1 over a backup: an event that is relayed between the copy of the one engine and
// that of the other is in one of them at least. The other order would lose it.
func TestCheckpointLosesNoEvent(t *testing.T) {
	now, dir := time.Now(), filepath.Join(t.TempDir(), "data")
	set := openSet(t, dir, &now)
	set.post(t, &now)
	second := set.checkpoints[1].make
	set.checkpoints[1].make = func(ctx context.Context, to string) error {
		set.relay(t, false)
		return second(ctx, to)
	}
	folder, err := set.Checkpoint(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	lines, c := checked(t, folder)
	if c.Outbox != 1 || c.Records != 1 || len(lines) > 0 {
		t.Errorf("the event is %d times in the outbox and %d times in the log; wrong: %q", c.Outbox, c.Records, lines)
	}
}

// A post whose event is nowhere is found, and one whose event waits or was relayed
// is not.
func TestCheckFindsALostEvent(t *testing.T) {
	now, dir := time.Now().Add(-time.Hour), filepath.Join(t.TempDir(), "data")
	set := openSet(t, dir, &now)
	set.post(t, &now)
	set.relay(t, false)
	now = now.Add(time.Minute)
	lost := set.post(t, &now)
	set.relay(t, true)
	set.post(t, &now)
	set.relay(t, false)
	set.post(t, &now)
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	lines, _ := checked(t, dir)
	if len(lines) != 1 || !strings.Contains(lines[0], "is neither in the outbox nor in the log") || !strings.Contains(lines[0], fmt.Sprint("post ", lost)) {
		t.Errorf("post %d was lost on its way; found %q", lost, lines)
	}
}

func mkdir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// W4: a restore on a machine whose clock is behind the copy would grant time anew in
// which ids were given.
func TestRestoreNeedsTheClock(t *testing.T) {
	now, dir, to := time.Now(), filepath.Join(t.TempDir(), "data"), t.TempDir()
	set := openSet(t, dir, &now)
	set.post(t, &now)
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	none, sound := func(int64) {}, func(string) error { return nil }
	backup, restored := filepath.Join(to, "b"), filepath.Join(to, "r")
	if _, err := WriteBackup(t.Context(), dir, backup, now, none, sound); err != nil {
		t.Fatal(err)
	}
	b, err := ReadBackup(backup)
	if err != nil {
		t.Fatal(err)
	}
	err = Restore(t.Context(), b, backup, restored, now.Add(-time.Minute), none, sound)
	if err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("with a clock that is behind: %v", err)
	}
	if err := Restore(t.Context(), b, backup, restored, now, none, sound); err != nil {
		t.Fatal(err)
	}
	if lines, c := checked(t, restored); len(lines) > 0 || c.Posts != 1 {
		t.Errorf("restored %+v, wrong: %q", c, lines)
	}
}

// While a restore is under way no server can begin an empty storage in its place.
func TestNoServerOnHalfARestore(t *testing.T) {
	now, dir, to := time.Now(), filepath.Join(t.TempDir(), "data"), t.TempDir()
	set := openSet(t, dir, &now)
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	backup, restored := filepath.Join(to, "b"), filepath.Join(to, "r")
	none := func(int64) {}
	if _, err := WriteBackup(t.Context(), dir, backup, now, none, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	b, err := ReadBackup(backup)
	if err != nil {
		t.Fatal(err)
	}
	config := DefaultConfig()
	config.DataDir = filepath.Join(to, "killed")
	err = Restore(t.Context(), b, backup, restored, now, none, func(string) error {
		beside := DefaultConfig()
		beside.DataDir = restored
		_, err := Open(t.Context(), beside, options())
		if err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a server beside the restore: %v", err)
		}
		// What a kill now would leave.
		return copyIdentity(restored, mkdir(t, config.DataDir))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), config, options()); err == nil || !strings.Contains(err.Error(), "not the storage that was here before") {
		t.Errorf("a server on what a killed restore left: %v", err)
	}
}

// A storage that lost its last writes, or was set back, is refused beside a log that
// has posts which it never granted an id for; a check says the same. A minute is not
// held against it, since a backup copies the log later.
func TestStorageOlderThanItsLog(t *testing.T) {
	for _, c := range []struct {
		lost    time.Duration
		refused bool
	}{{30 * time.Second, false}, {2 * time.Minute, true}} {
		now, dir := time.Now().Add(-time.Hour), filepath.Join(t.TempDir(), "data")
		set := openSet(t, dir, &now)
		set.post(t, &now)
		set.relay(t, false)
		old, err := set.Checkpoint(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(c.lost)
		set.post(t, &now)
		set.relay(t, false)
		storage := filepath.Join(dir, storageFolder)
		for _, err := range []error{set.Close(), os.RemoveAll(storage), os.Rename(filepath.Join(old, storageFolder), storage)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		lines, _ := checked(t, dir)
		if found := len(lines) == 1 && strings.Contains(lines[0], "storage lost what was written after"); found != c.refused {
			t.Errorf("%v lost: a check found %q", c.lost, lines)
		}
		config, o := DefaultConfig(), options()
		config.DataDir, o.Topics = dir, []eventlog.Topic{{Name: "posts", Partitions: 1}}
		set, err = Open(t.Context(), config, o)
		if refused := err != nil && strings.Contains(err.Error(), "is older than the log beside it"); refused != c.refused || !refused && err != nil {
			t.Errorf("%v lost: opened with %v", c.lost, err)
		}
		if err == nil {
			if err := set.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(filepath.Join(dir, identityFile)); err != nil {
			t.Fatal(err)
		}
		if lines, _ := checked(t, dir); !strings.Contains(strings.Join(lines, "\n"), "identity: the file identity is missing") {
			t.Errorf("without its identity: %q", lines)
		}
	}
}

// A post that comes into the log between the copies of a backup, after an hour in which
// storage granted nothing, is not taken for one that storage lost.
func TestBackupAfterAnIdleHour(t *testing.T) {
	now, dir := time.Now().Add(-2*time.Hour), filepath.Join(t.TempDir(), "data")
	set := openSet(t, dir, &now)
	set.post(t, &now)
	now = now.Add(time.Hour)
	second := set.checkpoints[1].make
	set.checkpoints[1].make = func(ctx context.Context, to string) error {
		set.post(t, &now)
		set.relay(t, false)
		return second(ctx, to)
	}
	folder, err := set.Checkpoint(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if lines, _ := checked(t, folder); len(lines) > 0 {
		t.Errorf("found %q", lines)
	}
}

// What a restore that was killed at its very beginning leaves is no new data directory.
func TestNoServerOnABegunRestore(t *testing.T) {
	config := DefaultConfig()
	config.DataDir = t.TempDir()
	mkdir(t, filepath.Join(config.DataDir, restoreFolder))
	if _, err := Open(t.Context(), config, options()); err == nil || !strings.Contains(err.Error(), "did not come to its end") {
		t.Errorf("opened with %v", err)
	}
}

// A restore that finds another's data, after it has looked and before it has the lock,
// leaves it alone; and links hide nothing from either command.
func TestPlacesOfCopies(t *testing.T) {
	now, dir, to := time.Now(), filepath.Join(t.TempDir(), "data"), t.TempDir()
	set := openSet(t, dir, &now)
	set.post(t, &now)
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	// The folder of an engine may be a link to another disk.
	moved := filepath.Join(t.TempDir(), "storage")
	link := func(to, from string) {
		t.Helper()
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, storageFolder), moved); err != nil {
		t.Fatal(err)
	}
	link(moved, filepath.Join(dir, storageFolder))
	none, backup := func(int64) {}, filepath.Join(to, "b")
	if _, err := WriteBackup(t.Context(), dir, backup, now, none, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if lines, c := checked(t, backup); len(lines) > 0 || c.Posts != 1 {
		t.Errorf("behind a link: %+v, %q", c, lines)
	}

	link(dir, filepath.Join(to, "in"))
	link(to, filepath.Join(to, "out"))
	t.Chdir(mkdir(t, filepath.Join(to, "here")))
	for target, want := range map[string]string{
		filepath.Join(to, "in", "b2"): "is inside the data directory", filepath.Join(to, "link"): "is a link", ".": "this runs in",
		"/dev/shm": "is where a disk is mounted", filepath.Join(to, "new"): "",
	} {
		if want == "is a link" {
			link(mkdir(t, filepath.Join(to, "empty")), target)
		}
		if entries, err := os.ReadDir(target); target == "/dev/shm" && (err != nil || len(entries) > 0) {
			continue // not here
		}
		if err := CheckTarget(dir, target); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("a backup to %s: %v, want %q", target, err, want)
		}
	}
	b, err := ReadBackup(backup)
	if err != nil {
		t.Fatal(err)
	}
	err = Restore(t.Context(), b, backup, filepath.Join(to, "out", "b", "r"), now, none, func(string) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "is inside the backup") {
		t.Errorf("a restore into the backup: %v", err)
	}
}
