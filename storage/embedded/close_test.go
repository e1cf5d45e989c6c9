package embedded_test

import (
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
