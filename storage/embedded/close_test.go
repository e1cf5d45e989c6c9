package embedded_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"skein/feed"
	"skein/storage"
	"skein/storage/embedded"
)

// Close leaves no goroutine behind. (Not asked of the whole package, in TestMain:
// a store that has failed is left as it is, with Pebble's goroutines.)
func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := open(t, "store", embedded.Options{FS: vfs.NewMem()})
	if _, err := s.CreatePost(bg, draft(feed.IDAt(time.Now()), 7, "r")); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Relay(bg, 10, func(feed.PostID, []storage.Event) error { return nil }); n != 1 || err != nil {
		t.Fatalf("relayed %d events (%v), want 1", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}

// Pebble cannot tell damage at the end of its WAL from what a crash tore, and drops it.
// So a clean stop leaves nothing there that could be lost.
func TestCleanStopLeavesNoWAL(t *testing.T) {
	disk := vfs.NewMem()
	s := open(t, "store", embedded.Options{FS: disk})
	id := feed.IDAt(time.Now())
	if _, err := s.CreatePost(bg, draft(id, 7, "r")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := disk.List("store")
	if err != nil {
		t.Fatal(err)
	}
	logs := 0
	for _, name := range names {
		if filepath.Ext(name) != ".log" {
			continue
		}
		logs++
		if err := disk.Remove(disk.PathJoin("store", name)); err != nil {
			t.Fatal(err)
		}
	}
	if logs == 0 {
		t.Fatalf("no WAL among %v", names)
	}
	posts, err := open(t, "store", embedded.Options{FS: disk}).GetPosts(bg, []feed.PostID{id})
	if err != nil || len(posts) != 1 {
		t.Errorf("without the WAL of a clean stop: %v, %v", posts, err)
	}
}
