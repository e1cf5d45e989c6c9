package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"skein/feed"
	"skein/storage"
	"skein/storage/embedded"
)

// brokenDisk is a file system whose operations fail, or wait, as the test says.
type brokenDisk struct {
	*vfs.MemFS
	inject atomic.Pointer[func(errorfs.Op) error]
}

func newBrokenDisk() *brokenDisk { return &brokenDisk{MemFS: vfs.NewCrashableMem()} }

func (d *brokenDisk) fs() vfs.FS {
	return errorfs.Wrap(d.MemFS, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if inject := d.inject.Load(); inject != nil {
			return (*inject)(op)
		}
		return nil
	}))
}

func (d *brokenDisk) set(inject func(errorfs.Op) error) { d.inject.Store(&inject) }

// openBroken opens a store that reports its failure to the returned channel.
func openBroken(t *testing.T, d *brokenDisk) (*embedded.Store, chan error) {
	fatal := make(chan error, 100)
	s := open(t, "store", embedded.Options{FS: d.fs(), OnFatal: func(err error) { fatal <- err }})
	t.Cleanup(func() { d.set(func(errorfs.Op) error { return nil }) }) // else flushes are repeated for ever
	return s, fatal
}

// receive waits for c, but not for ever.
func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("waited 10 s for ", what)
	}
	return v
}

// holdFirstSync stops the disk in the next sync of the log: syncing closes when
// it has begun, and release lets it go on.
func (d *brokenDisk) holdFirstSync() (syncing <-chan struct{}, release func()) {
	begun, gate := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	d.set(func(op errorfs.Op) error {
		if isLog(op) && isSync(op) && held.CompareAndSwap(false, true) {
			close(begun)
			<-gate
		}
		return nil
	})
	return begun, sync.OnceFunc(func() { close(gate) })
}

func isLog(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") }

func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
}

// W1: a post is not visible before its event is durable. The disk is held in the
// middle of the sync while we look.
func TestW1_NothingShowsBeforeTheSync(t *testing.T) {
	d := newBrokenDisk()
	s, _ := openBroken(t, d)
	syncing, release := d.holdFirstSync()
	defer release()
	id, acknowledged := feed.IDAt(time.Now()), make(chan error, 1)
	go func() {
		_, err := s.CreatePost(bg, draft(id, 7, ""))
		acknowledged <- err
	}()
	receive(t, "the sync", syncing)
	if got, err := s.GetPosts(bg, []feed.PostID{id}); err != nil || len(got) > 0 {
		t.Errorf("before the sync GetPosts has %v, %v", got, err)
	}
	if got, err := s.Newest(bg, []storage.Range{{Author: 7, First: 1, Before: feed.MaxPostID}}, 1); err != nil || len(got) > 0 {
		t.Errorf("before the sync Newest has %v, %v", got, err)
	}
	select {
	case err := <-acknowledged:
		t.Errorf("acknowledged before the sync: %v", err)
	default:
	}
	release()
	if err := receive(t, "the acknowledgement", acknowledged); err != nil {
		t.Fatal(err)
	}
	wantPost(t, s, id)
}

// asking is a context that tells when somebody begins to wait for it.
type asking struct {
	context.Context
	asked func()
}

func (a asking) Done() <-chan struct{} {
	a.asked()
	return a.Context.Done()
}

// W3: a retry while the first call is still at the disk waits, and gets its post.
func TestW3_RetryWaitsForTheFirst(t *testing.T) {
	d := newBrokenDisk()
	s, _ := openBroken(t, d)
	syncing, release := d.holdFirstSync()
	defer release()
	id := feed.IDAt(time.Now())
	outcomes := make(chan error, 2)
	create := func(ctx context.Context, id, want feed.PostID) {
		post, err := s.CreatePost(ctx, draft(id, 7, "r"))
		if err == nil && post.ID != want {
			err = fmt.Errorf("got post %d, want %d", post.ID, want)
		}
		outcomes <- err
	}
	go create(bg, id, id)
	receive(t, "the sync", syncing)
	waits := make(chan struct{})
	go create(asking{bg, sync.OnceFunc(func() { close(waits) })}, id+1, id)
	select {
	case <-waits:
	case err := <-outcomes:
		t.Fatalf("the retry answered before its post was durable: %v", err)
	}
	release()
	for range 2 {
		if err := receive(t, "CreatePost", outcomes); err != nil {
			t.Error(err)
		}
	}
}

// A log that cannot be written, a full disk, a failed sync: the call fails, OnFatal
// hears of it once, nothing is acknowledged afterwards, and what was acknowledged
// before is there after a restart.
func TestW2_DiskFailsUnderAWrite(t *testing.T) {
	cases := map[string]func(errorfs.Op) error{
		"log write": func(op errorfs.Op) error {
			if isLog(op) && op.Kind == errorfs.OpFileWrite {
				return syscall.EIO
			}
			return nil
		},
		"log sync": func(op errorfs.Op) error {
			if isLog(op) && isSync(op) {
				return syscall.EIO
			}
			return nil
		},
		"disk full": func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate {
				return syscall.ENOSPC
			}
			return nil
		},
	}
	calls := map[string]func(s *embedded.Store, kept feed.PostID) error{
		"CreatePost": func(s *embedded.Store, kept feed.PostID) error {
			_, err := s.CreatePost(bg, draft(kept+1, 7, "lost"))
			return err
		},
		"DeletePost": func(s *embedded.Store, kept feed.PostID) error { return s.DeletePost(bg, 7, kept) },
		"Grant": func(s *embedded.Store, _ feed.PostID) error {
			_, err := s.Grant(bg)
			return err
		},
		"Follow": func(s *embedded.Store, _ feed.PostID) error {
			_, err := s.Follow(bg, feed.Follow{Viewer: 1, Author: 2})
			return err
		},
	}
	for name, inject := range cases {
		for callName, call := range calls {
			t.Run(name+"/"+callName, func(t *testing.T) { failUnder(t, inject, call) })
		}
	}
}

func failUnder(t *testing.T, inject func(errorfs.Op) error, call func(s *embedded.Store, kept feed.PostID) error) {
	d := newBrokenDisk()
	s, fatal := openBroken(t, d)
	kept := feed.IDAt(time.Now())
	if _, err := s.CreatePost(bg, draft(kept, 7, "kept")); err != nil {
		t.Fatal(err)
	}
	d.set(inject)
	wantUnavailable(t, call(s, kept))
	if err := receive(t, "OnFatal", fatal); !strings.Contains(err.Error(), "the store in store cannot go on") {
		t.Errorf("OnFatal got %q, want one that names the folder", err)
	}
	d.set(func(errorfs.Op) error { return nil }) // the disk is well again: too late
	_, err := s.CreatePost(bg, draft(kept+2, 7, "after"))
	wantUnavailable(t, err)
	_, err = s.GetPosts(bg, []feed.PostID{kept})
	wantUnavailable(t, err)
	if err := s.Close(); err == nil {
		t.Error("Close of a failed store says nothing")
	}
	if len(fatal) > 0 {
		t.Error("OnFatal was called again")
	}
	wantPost(t, afterCrash(t, d.MemFS, 0, 0), kept)
}

// A flush that meets a full disk happens behind everybody's back, and must not
// be retried while memory fills.
func TestW2_DiskFullUnderAFlush(t *testing.T) {
	if testing.Short() {
		t.Skip("copies a log of 30 MB over and over, 10 s under the race detector; run without -short")
	}
	d := newBrokenDisk()
	s, fatal := openBroken(t, d)
	d.set(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	})
	var mu sync.Mutex
	var last feed.PostID
	acknowledged := map[feed.PostID]bool{}
	text, deadline := strings.Repeat("honk ", 3000), time.Now().Add(2*time.Minute)
	var posters sync.WaitGroup
	for range 16 { // who share their syncs: each copies the whole log of such a disk
		posters.Go(func() {
			for len(fatal) == 0 {
				if time.Now().After(deadline) {
					t.Error("no flush in 2 min")
					return
				}
				mu.Lock()
				last = max(last+1, feed.IDAt(time.Now()))
				id := last
				mu.Unlock()
				_, err := s.CreatePost(bg, storage.Draft{Post: feed.Post{ID: id, Author: 7, Text: text}})
				if errors.Is(err, feed.ErrLate) {
					continue
				}
				if err != nil {
					wantUnavailable(t, err)
					return
				}
				mu.Lock()
				acknowledged[id] = true
				mu.Unlock()
			}
		})
	}
	posters.Wait()
	if err := receive(t, "OnFatal", fatal); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("OnFatal got %v, want the full disk", err)
	}
	after := afterCrash(t, d.MemFS, 0, 0)
	for id := range acknowledged {
		wantPost(t, after, id)
	}
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if feed.CodeOf(err) != feed.CodeUnavailable || err == nil {
		t.Errorf("error %v, want unavailable", err)
	}
}

// What the operating system refuses is no damage: a sound folder may not be called so.
func TestOpen_RefusedByTheSystem(t *testing.T) {
	for refusal, words := range map[syscall.Errno]string{
		syscall.EMFILE: "ulimit -n", syscall.EACCES: "this user may read", syscall.ENOSPC: "make room", syscall.EIO: "look at the disk",
	} {
		for _, kind := range []errorfs.OpKind{errorfs.OpOpen, errorfs.OpOpenDir, errorfs.OpList} {
			d := newBrokenDisk()
			s, _ := openBroken(t, d)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			d.set(func(op errorfs.Op) error {
				if op.Kind == kind {
					return refusal
				}
				return nil
			})
			s, err := embedded.Open("store", embedded.Options{FS: d.fs(), OnFatal: func(error) {}})
			if err == nil {
				s.Close()
				t.Fatalf("%v of %v: the folder opened", refusal, kind)
			}
			if text := err.Error(); strings.Contains(text, "is damaged:") || strings.Contains(text, "restore") || !strings.Contains(text, words) {
				t.Errorf("%v of %v: %v; should say %q", refusal, kind, err, words)
			}
		}
	}
}

// Damage that is met while the store serves is called so: starting again is no way out.
func TestDamage_UnderARead(t *testing.T) {
	dir := t.TempDir()
	id := feed.IDAt(time.Now())
	for range 2 { // the second opening makes a table of what the first one wrote
		s := open(t, dir, embedded.Options{})
		for range 100 {
			id++
			if _, err := s.CreatePost(bg, storage.Draft{Post: feed.Post{ID: id, Author: 7, Text: strings.Repeat("honk", 500)}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fatal := make(chan error, 1)
	var warned bytes.Buffer
	s := open(t, dir, embedded.Options{
		OnFatal: func(err error) { fatal <- err }, Logger: slog.New(slog.NewTextHandler(&warned, nil)),
		CacheBytes: 1, // every block is read anew
	})
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no table in %s: %v", dir, err)
	}
	for _, name := range tables {
		file, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		for at := int64(0); at < info.Size()*9/10; at += 64 {
			if _, err := file.WriteAt([]byte("geese"), at); err != nil {
				t.Fatal(err)
			}
		}
		file.Close()
	}
	_, err = s.Newest(bg, []storage.Range{{Author: 7, First: 1, Before: feed.MaxPostID}}, 300)
	failure := receive(t, "OnFatal", fatal)
	if strings.Contains(failure.Error(), "nothing acknowledged is lost") || !strings.Contains(failure.Error(), "skein check") || !strings.Contains(failure.Error(), "skein restore") {
		t.Errorf("OnFatal got %v", failure)
	}
	for _, err := range []error{err, failure} {
		if err == nil || strings.Contains(err.Error(), "carrier") || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), ".sst is damaged") {
			t.Errorf("not for people: %v", err)
		}
	}
	if strings.Contains(warned.String(), "carrier") {
		t.Errorf("logged %s", &warned)
	}
}

// A damaged folder gives one error that names it, and never a panic.
func TestOpen_DamagedFolder(t *testing.T) {
	garbage := func(pattern string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(names) == 0 {
				t.Fatalf("no %s in %s: %v", pattern, dir, err)
			}
			for _, name := range names {
				if err := os.WriteFile(name, []byte("geese were here, and trod on this file for a while"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, damage := range map[string]func(t *testing.T, dir string){
		"MANIFEST":  garbage("MANIFEST-*"),
		"tables":    garbage("*.sst"),
		"no tables": func(t *testing.T, dir string) { removeAll(t, filepath.Join(dir, "*.sst")) },
		"OPTIONS":   garbage("OPTIONS-*"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for range 2 { // the second opening flushes what the first one wrote
				s := open(t, dir, embedded.Options{})
				if _, err := s.CreateUser(bg, 0); err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			damage(t, dir)
			s, err := embedded.Open(dir, embedded.Options{Logger: silent, OnFatal: func(error) {}})
			if err == nil {
				s.Close()
				t.Fatal("a damaged folder opened")
			}
			if !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "in use") {
				t.Errorf("error %q, want one about the folder", err)
			}
		})
	}
}

func removeAll(t *testing.T, pattern string) {
	names, _ := filepath.Glob(pattern)
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// A second store in the same folder is refused, in this process and in another.
func TestOpen_FolderInUse(t *testing.T) {
	if dir := os.Getenv("SKEIN_TEST_LOCKED_FOLDER"); dir != "" {
		_, err := embedded.Open(dir, embedded.Options{Logger: silent})
		if err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Fatalf("error %v, want that the folder is in use", err)
		}
		return
	}
	dir := t.TempDir()
	s := open(t, dir, embedded.Options{})
	if _, err := embedded.Open(dir, embedded.Options{Logger: silent}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Fatalf("error %v, want one that names the folder", err)
	}
	other := exec.Command(os.Args[0], "-test.run=^TestOpen_FolderInUse$")
	other.Env = append(os.Environ(), "SKEIN_TEST_LOCKED_FOLDER="+dir)
	if out, err := other.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, embedded.Options{})
}

// Unless told otherwise, a store that fails ends the process with code 1 and one
// line.
func TestOnFatal_EndsTheProcess(t *testing.T) {
	if os.Getenv("SKEIN_TEST_FATAL") != "" {
		d := newBrokenDisk()
		s, err := embedded.Open("store", embedded.Options{FS: d.fs()})
		if err != nil {
			t.Fatal(err)
		}
		d.set(func(errorfs.Op) error { return syscall.ENOSPC })
		_, err = s.CreatePost(bg, draft(feed.IDAt(time.Now()), 7, ""))
		t.Fatalf("the process lives on: %v", err)
	}
	failing := exec.Command(os.Args[0], "-test.run=^TestOnFatal_EndsTheProcess$")
	failing.Env = append(os.Environ(), "SKEIN_TEST_FATAL=1")
	out, err := failing.CombinedOutput()
	if failing.ProcessState.ExitCode() != 1 {
		t.Fatalf("exit %v, want 1\n%s", err, out)
	}
	if lines := strings.Count(strings.TrimSpace(string(out)), "\n") + 1; lines != 1 || !strings.Contains(string(out), "no space left") {
		t.Fatalf("want one line about the disk, got\n%s", out)
	}
}

func TestClose(t *testing.T) {
	s := open(t, "store", embedded.Options{FS: vfs.NewMem()})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Grant(bg)
	wantUnavailable(t, err)
	_, err = s.GetTiers(bg, 0)
	wantUnavailable(t, err)
}
