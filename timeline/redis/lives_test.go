package redis_test

import (
	"os"
	"path/filepath"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// The trap "the list that survives": a server restarts from an older snapshot,
// and the list is back with its header and without its last entries. It must be
// absent, a Finish or a Fold of its former life must not take, and a barrier
// between must say that something was lost.
func TestOlderSnapshot(t *testing.T) {
	server := own(t)
	c := raw(t, server.URL())
	s := open(t, server.URL(), redis.Options{Cap: 100})
	token := build(t, s, 1, 5)
	deliver(t, s, 6, 1)
	building, ok, err := s.Create(ctx, 2, life)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	snapshot := saved(t, c, server)
	deliver(t, s, 7, 1, 2)
	if page := read(t, s, 1); page.Entries[0].ID() != 7 {
		t.Fatalf("before the restart: %+v", page)
	}
	restart(t, server, snapshot)

	if n, err := c.DBSize(ctx).Result(); err != nil || n < 3 {
		t.Fatalf("the snapshot brought %d keys back, %v: the test shows nothing", n, err)
	}
	for v := feed.UserID(1); v <= 2; v++ {
		if page := read(t, s, v); page.State != timeline.Absent || page.Acts != 0 {
			t.Fatalf("a list without its last entries reads as %+v", page)
		}
	}
	if ok, err := s.Fold(ctx, 1, token, 1, 2, nil); ok || err != nil {
		t.Fatalf("Fold into a list of another life: %v, %v", ok, err)
	}
	if ok, err := s.Finish(ctx, 2, building, nil, 0, 1); ok || err != nil {
		t.Fatalf("Finish of a list of another life: %v, %v", ok, err)
	}
	if err := s.Barrier(ctx, s.Mark()); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("a barrier after the restart: %v, want UNAVAILABLE", err)
	}
	if err := s.Barrier(ctx, s.Mark()); err != nil {
		t.Fatalf("the barrier after the one that failed: %v", err)
	}
	build(t, s, 2, 7) // a building of the former life holds nobody up
	shows(t, s, 2, 7, 6, 5, 4, 3, 2, 1)
}

// A timeline of another life that nobody reads is fed in vain until its cut.
func TestOtherLivesAreCleared(t *testing.T) {
	server := own(t)
	c := raw(t, server.URL())
	s := open(t, server.URL(), redis.Options{Cap: 8})
	build(t, s, 1, 5)
	restart(t, server, saved(t, c, server))
	misses := int64(0)
	for post := feed.PostID(10); post < 20; post++ {
		misses += deliver(t, s, post, 1).Misses
	}
	if misses == 0 {
		t.Fatal("a list that nobody can read takes deliveries for ever")
	}
}

// Restarted empty: timelines are absent, what was announced before is not known,
// and scripts are told again, to each kind of call.
func TestRestartedEmpty(t *testing.T) {
	calls := map[string]func(*redis.Store) error{
		"Read":     func(s *redis.Store) error { _, err := s.Read(ctx, timeline.Query{Viewer: 1, Life: life}); return err },
		"Create":   func(s *redis.Store) error { _, _, err := s.Create(ctx, 1, life); return err },
		"Announce": func(s *redis.Store) error { return s.Announce(ctx, timeline.Act{Viewer: 1, Deleted: 1}) },
		"Deletes":  func(s *redis.Store) error { _, err := s.DeletedSince(ctx, 0, 1); return err },
		"Deliver": func(s *redis.Store) error {
			_, err := s.Deliver(ctx, []timeline.Delivery{{Post: 1, Viewers: []feed.UserID{1}}})
			return err
		},
	}
	server := own(t)
	s := open(t, server.URL(), redis.Options{Cap: 100})
	build(t, s, 1, 5)
	s.Announce(ctx, timeline.Act{Deleted: 3})
	before := read(t, s, 1)
	for name, call := range calls {
		restart(t, server, nil)
		if err := call(s); err != nil {
			t.Errorf("%s after a restart: %v", name, err)
		}
	}
	restart(t, server, nil)
	after := read(t, s, 1)
	if after.State != timeline.Absent || after.Acts != 0 || after.Deletes == before.Deletes {
		t.Fatalf("after the restart: %+v, before it: %+v", after, before)
	}
	for _, position := range []uint64{before.Deletes, before.Deletes - 1, 0} {
		if got, err := s.DeletedSince(ctx, 0, position); err != nil || got.Known {
			t.Fatalf("deletes since %d, of a former life: %+v, %v", position, got, err)
		}
	}
}

// The trap of the log of deletes in an older snapshot: it is back, and shorter. A
// position beyond it must not become known when new deletes reach its count.
func TestOlderLogOfDeletes(t *testing.T) {
	server := own(t)
	c := raw(t, server.URL())
	s := open(t, server.URL(), redis.Options{Cap: 100})
	s.Announce(ctx, timeline.Act{Deleted: 1})
	snapshot := saved(t, c, server)
	early := read(t, s, 1).Deletes
	s.Announce(ctx, timeline.Act{Deleted: 2})
	late := read(t, s, 1).Deletes
	restart(t, server, snapshot)
	for range 3 {
		if now := read(t, s, 1).Deletes; now == early || now == late {
			t.Fatalf("position %d came again", now)
		}
		for _, position := range []uint64{early, late} {
			if got, err := s.DeletedSince(ctx, 0, position); err != nil || got.Known {
				t.Fatalf("deletes since %d, of a former life: %+v, %v", position, got, err)
			}
		}
		if err := s.Announce(ctx, timeline.Act{Deleted: 3}); err != nil {
			t.Fatal(err)
		}
	}
}

// Flushed: the life of the server goes on, that of what it held does not.
func TestFlushed(t *testing.T) {
	server := own(t)
	c := raw(t, server.URL())
	s := open(t, server.URL(), redis.Options{Cap: 100})
	token := build(t, s, 1, 5)
	s.Announce(ctx, timeline.Act{Deleted: 1})
	before := read(t, s, 1)
	if err := c.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if out := deliver(t, s, 9, 1); out.Misses != 1 {
		t.Fatalf("%+v, want a miss", out)
	}
	if ok, err := s.Finish(ctx, 1, token, nil, 0, 1); ok || err != nil {
		t.Fatalf("Finish after a flush: %v, %v", ok, err)
	}
	s.Announce(ctx, timeline.Act{Deleted: 2})
	if got, err := s.DeletedSince(ctx, 0, before.Deletes); err != nil || got.Known {
		t.Fatalf("deletes since before the flush: %+v, %v", got, err)
	}
	build(t, s, 1, 5)
	if page := read(t, s, 1); page.Acts == before.Acts || page.Deletes == before.Deletes {
		t.Fatalf("position %+v came again", page.Position)
	}
}

// saved makes the server write a snapshot and returns it.
func saved(t *testing.T, c *goredis.Client, server *servers.Server) []byte {
	t.Helper()
	if err := c.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	snapshot, err := os.ReadFile(dump(server))
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// restart kills a server and starts it with a snapshot, or empty.
func restart(t *testing.T, server *servers.Server, snapshot []byte) {
	t.Helper()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	os.Remove(dump(server))
	if snapshot != nil {
		if err := os.WriteFile(dump(server), snapshot, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

func dump(server *servers.Server) string { return filepath.Join(server.Dir(), "data", "dump.rdb") }
