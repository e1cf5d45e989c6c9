package embedded_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"skein/feed"
	"skein/storage/embedded"
)

// A checkpoint made under load holds every post acknowledged before it began (W2),
// and is sound.
func TestW2_CheckpointUnderLoad(t *testing.T) {
	d := newBrokenDisk()
	s, _ := openBroken(t, d)
	ids := feed.NewIDs(s, time.Now)
	acknowledged := make(chan feed.PostID, 100_000)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			id, err := ids.Next(bg)
			if err == nil {
				_, err = s.CreatePost(bg, draft(id, 7, fmt.Sprint(n)))
			}
			if err != nil {
				t.Errorf("post %d: %v", n, err)
				return
			}
			acknowledged <- id
		}
	}()
	for n := range 5 {
		for range 20 {
			receive(t, "a post", acknowledged)
		}
		last := receive(t, "a post", acknowledged)
		dir := fmt.Sprint("copies/", n)
		if err := d.MkdirAll("copies", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := s.Checkpoint(bg, dir); err != nil {
			t.Fatal(err)
		}
		_, err := embedded.Check(bg, dir, embedded.CheckOptions{FS: d.MemFS, Found: func(kind, detail string) {
			// Nobody made user 7: that is the API's.
			if kind != "user" {
				t.Errorf("checkpoint %d: %s: %s", n, kind, detail)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		wantPost(t, open(t, dir, embedded.Options{FS: d.MemFS}), last)
	}
	close(stop)
	<-stopped
	if err := s.Checkpoint(bg, "copies/0"); err == nil {
		t.Error("a checkpoint over another one")
	}
}

// A checkpoint that meets a full disk fails, and the store goes on.
func TestCheckpointMeetsAFullDisk(t *testing.T) {
	d := newBrokenDisk()
	s, fatal := openBroken(t, d)
	ids := feed.NewIDs(s, time.Now)
	// Each of the checkpoint's own writes fails in turn, until none does.
	for failing := int64(0); ; failing++ {
		var writes atomic.Int64
		d.set(func(op errorfs.Op) error {
			if strings.HasPrefix(op.Path, "copy") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) == failing+1 {
				return syscall.ENOSPC
			}
			return nil
		})
		err := s.Checkpoint(bg, fmt.Sprintf("copy%d", failing))
		d.set(func(errorfs.Op) error { return nil })
		id, idErr := ids.Next(bg)
		if idErr != nil {
			t.Fatal(idErr)
		}
		if _, err := s.CreatePost(bg, draft(id, 7, "")); err != nil {
			t.Fatalf("after write %d of the checkpoint failed: %v", failing, err)
		}
		select {
		case err := <-fatal:
			t.Fatalf("write %d of the checkpoint took the store down: %v", failing, err)
		default:
		}
		if writes.Load() <= failing {
			if err != nil || failing < 5 {
				t.Errorf("a checkpoint of %d writes, of which none fails: %v", writes.Load(), err)
			}
			return
		}
		if err == nil {
			t.Logf("write %d did not matter", failing)
		}
	}
}
