package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/feed"
	"skein/storage"
	"skein/storage/embedded"
)

var bg = context.Background()

func draft(id feed.PostID, author feed.UserID, request string) storage.Draft {
	return storage.Draft{Post: feed.Post{ID: id, Author: author, Text: "honk " + request}, RequestID: request}
}

// clock is a clock that tests bend. hook runs at every look at it.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	hook  func(look int)
	looks int
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	c.looks++
	look, hook := c.looks, c.hook
	c.mu.Unlock()
	if hook != nil {
		hook(look)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) set(hook func(look int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hook, c.looks = hook, 0
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// afterCrash opens what is left of disk if the machine stops now: what was
// synced and, of the rest, a part.
func afterCrash(t *testing.T, disk *vfs.MemFS, unsyncedPercent int, seed uint64) *embedded.Store {
	t.Helper()
	left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsyncedPercent, RNG: rand.New(rand.NewPCG(seed, 1))})
	return open(t, "store", embedded.Options{FS: left})
}

// W1, W2: a crash between the steps of a post. Its event is durable and its row
// is not there; Open completes it, and the key answers with it.
func TestW1_EventAloneIsCompleted(t *testing.T) {
	disk, c := vfs.NewCrashableMem(), &clock{}
	s := open(t, "store", embedded.Options{FS: disk, Clock: c.now})
	var left *vfs.MemFS
	id := feed.IDAt(time.Now())
	c.set(func(look int) {
		// Looks: the age, the key's time, then the age once more after step 1.
		if look != 3 {
			return
		}
		if got, err := s.GetPosts(bg, []feed.PostID{id}); err != nil || len(got) > 0 {
			t.Errorf("between the steps the post is visible: %v, %v", got, err)
		}
		if oldest, err := s.OldestEvent(bg); err != nil || oldest != id {
			t.Errorf("between the steps the oldest event is %d, %v; want %d", oldest, err, id)
		}
		n, err := s.Relay(bg, 10, func(feed.PostID, []storage.Event) error { return errors.New("published half a post") })
		if n != 0 || err != nil {
			t.Errorf("between the steps the relay got %d, %v", n, err)
		}
		left = disk.CrashClone(vfs.CrashCloneCfg{})
	})
	if _, err := s.CreatePost(bg, draft(id, 7, "r")); err != nil {
		t.Fatal(err)
	}
	if left == nil {
		t.Fatal("the clock was not looked at after the first step")
	}
	s = open(t, "store", embedded.Options{FS: left})
	wantPost(t, s, id)
	if refs, err := s.Newest(bg, []storage.Range{{Author: 7, First: 1, Before: feed.MaxPostID}}, 9); err != nil || len(refs) != 1 {
		t.Fatalf("the author's posts are %v, %v", refs, err)
	}
	again, err := s.CreatePost(bg, draft(feed.IDAt(time.Now()), 7, "r"))
	if err != nil || again.ID != id {
		t.Fatalf("the retry got %d, %v; want %d", again.ID, err, id)
	}
	if n, err := s.CountEvents(bg); err != nil || n != 1 {
		t.Fatalf("%d events, %v; want 1", n, err)
	}
}

// W4: the id grows old while the disk syncs. Nothing may be left, not after a
// crash either.
func TestW4_LateAfterTheFirstStepIsTakenBack(t *testing.T) {
	disk, c := vfs.NewCrashableMem(), &clock{}
	s := open(t, "store", embedded.Options{FS: disk, Clock: c.now})
	c.set(func(look int) {
		if look == 3 {
			c.advance(2 * feed.MaxIDAge)
		}
	})
	id := feed.IDAt(time.Now())
	if _, err := s.CreatePost(bg, draft(id, 7, "r")); !errors.Is(err, feed.ErrLate) {
		t.Fatalf("error %v, want ErrLate", err)
	}
	for _, s := range []*embedded.Store{s, afterCrash(t, disk, 0, 0)} {
		if got, err := s.GetPosts(bg, []feed.PostID{id}); err != nil || len(got) > 0 {
			t.Errorf("the late post is there: %v, %v", got, err)
		}
		if n, err := s.CountEvents(bg); err != nil || n != 0 {
			t.Errorf("%d events, %v; want none", n, err)
		}
	}
	post, err := s.CreatePost(bg, draft(feed.IDAt(c.now()), 7, "r"))
	if err != nil || post.ID == id {
		t.Fatalf("the retry under another id got %d, %v", post.ID, err)
	}
}

// A delete must not come undone by completing the event of the post.
func TestT4_DeleteSurvivesACrash(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s := open(t, "store", embedded.Options{FS: disk})
	id := feed.IDAt(time.Now())
	if _, err := s.CreatePost(bg, draft(id, 7, "")); err != nil {
		t.Fatal(err)
	}
	if err := s.DeletePost(bg, 7, id); err != nil {
		t.Fatal(err)
	}
	s = afterCrash(t, disk, 0, 0)
	if got, err := s.GetPosts(bg, []feed.PostID{id}); err != nil || len(got) > 0 {
		t.Fatalf("the deleted post is back: %v, %v", got, err)
	}
	if n, err := s.CountEvents(bg); err != nil || n != 0 {
		t.Fatalf("%d events, %v; want none", n, err)
	}
}

// acts is what was acknowledged before a crash.
type acts struct {
	mu        sync.Mutex
	posts     map[string]feed.PostID // by request id
	deleted   map[feed.PostID]bool
	deleting  map[feed.PostID]bool // asked for, perhaps not done
	published map[feed.PostID]bool
	follows   map[feed.Follow]bool
	until     int           // so many posts
	reached   chan struct{} // closes this
}

// W1, W2, W3, F1: the machine stops at any moment, with any part of what was not
// synced. What was acknowledged before is there.
func TestW2_CrashAtAnyMoment(t *testing.T) {
	const crashes = 12
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for crash := range uint64(crashes) {
		disk := vfs.NewCrashableMem()
		s := open(t, "store", embedded.Options{FS: disk})
		a := &acts{
			posts: map[string]feed.PostID{}, deleted: map[feed.PostID]bool{}, deleting: map[feed.PostID]bool{},
			published: map[feed.PostID]bool{}, follows: map[feed.Follow]bool{},
			until: 1 + int((seed+crash*37)%200), reached: make(chan struct{}),
		}
		stop, done := make(chan struct{}), &sync.WaitGroup{}
		ids := feed.NewIDs(s, time.Now)
		for w := range 6 {
			done.Go(func() { a.work(t, s, ids, w, seed+crash, stop) })
		}
		done.Go(func() { a.relay(t, s, stop) })
		// The crash comes after a drawn number of acknowledged posts.
		receive(t, "acknowledged posts", a.reached)
		before := a.snapshot()
		left := afterCrash(t, disk, int(crash%4)*33, seed+crash)
		close(stop)
		done.Wait()
		before.check(t, left)
	}
}

func (a *acts) posted(request string, id feed.PostID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.posts[request] = id
	if len(a.posts) == a.until {
		close(a.reached)
	}
}

// snapshot copies what is acknowledged so far.
func (a *acts) snapshot() *acts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &acts{posts: maps.Clone(a.posts), deleted: maps.Clone(a.deleted), deleting: a.deleting, published: a.published, follows: maps.Clone(a.follows)}
}

// work posts, follows, and deletes a tenth of its posts.
func (a *acts) work(t *testing.T, s *embedded.Store, ids *feed.IDs, w int, seed uint64, stop chan struct{}) {
	rng := rand.New(rand.NewPCG(seed, uint64(w)))
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		id, err := ids.Next(bg)
		if err != nil {
			t.Error(err)
			return
		}
		request := fmt.Sprint(w, "-", n)
		post, err := s.CreatePost(bg, draft(id, 7, request))
		if errors.Is(err, feed.ErrLate) {
			continue
		}
		edge := feed.Follow{Viewer: feed.UserID(w + 1), Author: feed.UserID(n + 1)}
		if err == nil {
			a.posted(request, post.ID)
			_, err = s.Follow(bg, edge)
		}
		if err == nil {
			a.mu.Lock()
			a.follows[edge] = true
			a.mu.Unlock()
		}
		if err == nil && rng.IntN(10) == 0 {
			a.mu.Lock()
			a.deleting[post.ID] = true
			a.mu.Unlock()
			if err = s.DeletePost(bg, 7, post.ID); err == nil {
				a.mu.Lock()
				a.deleted[post.ID] = true
				a.mu.Unlock()
			}
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func (a *acts) relay(t *testing.T, s *embedded.Store, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		_, err := s.Relay(bg, 5, func(_ feed.PostID, events []storage.Event) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			for _, e := range events {
				a.published[e.Post] = true
			}
			return nil
		})
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// check holds a store opened after the crash against what was acknowledged.
func (a *acts) check(t *testing.T, s *embedded.Store) {
	t.Helper()
	if err := relayAll(s, a.published); err != nil {
		t.Fatal(err)
	}
	for request, id := range a.posts {
		got, err := s.GetPosts(bg, []feed.PostID{id})
		switch {
		case err != nil:
			t.Fatal(err)
		case a.deleted[id] && len(got) > 0:
			t.Errorf("T4: the deleted post %d is back", id)
		case !a.deleting[id] && len(got) != 1:
			t.Errorf("W2: the acknowledged post %d is lost", id)
		case !a.deleting[id] && !a.published[id]:
			t.Errorf("F1: the event of post %d is lost", id)
		}
		again, err := s.CreatePost(bg, draft(feed.IDAt(time.Now()), 7, request))
		if err != nil || again.ID != id {
			t.Errorf("W3: the retry of %s got %d, %v; want %d", request, again.ID, err, id)
		}
	}
	for edge := range a.follows {
		set, err := s.GetFollowSet(bg, edge.Viewer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := set.Contains(edge.Author); !ok {
			t.Errorf("W2: the acknowledged follow %v is lost", edge)
		}
	}
}

func relayAll(s *embedded.Store, published map[feed.PostID]bool) error {
	for {
		n, err := s.Relay(bg, 100, func(_ feed.PostID, events []storage.Event) error {
			for _, e := range events {
				published[e.Post] = true
			}
			return nil
		})
		if n == 0 || err != nil {
			return err
		}
	}
}

func wantPost(t *testing.T, s *embedded.Store, id feed.PostID) {
	t.Helper()
	if got, err := s.GetPosts(bg, []feed.PostID{id}); err != nil || len(got) != 1 {
		t.Fatalf("post %d: got %v, %v", id, got, err)
	}
}

// Idempotency keys live for a day and then make room.
func TestW3_KeysLiveADay(t *testing.T) {
	c := &clock{}
	s := open(t, "store", embedded.Options{FS: vfs.NewMem(), Clock: c.now})
	create := func(request string) feed.PostID {
		t.Helper()
		post, err := s.CreatePost(bg, draft(feed.IDAt(c.now())+feed.PostID(len(request)), 7, request))
		if err != nil {
			t.Fatal(err)
		}
		return post.ID
	}
	first := create("first")
	churn := func(name string) {
		for i := range 200 { // enough to purge more than once
			create(fmt.Sprint(name, i))
		}
	}
	c.advance(24 * time.Hour)
	churn("day")
	if again := create("first"); again != first {
		t.Fatalf("after a day the key gave %d, want %d", again, first)
	}
	c.advance(2 * time.Hour)
	churn("later")
	if again := create("first"); again == first {
		t.Fatal("after 26 hours and many new keys the key is still there")
	}
	if again := create("day0"); again < feed.IDAt(c.now().Add(-3*time.Hour)) {
		t.Fatal("a key was lost before its day was over")
	}
}
