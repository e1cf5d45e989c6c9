package redis_test

import (
	"strings"
	"testing"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// The trap "the list that survives", with a replica: a barrier returns when the
// replica has what was delivered, and fails when it has not.
func TestBarrierAndReplica(t *testing.T) {
	server, replica := own(t, "--repl-diskless-sync-delay", "0"), own(t)
	s := open(t, server.URL(), redis.Options{Cap: 100, Prefix: "b"})
	c, copies := raw(t, server.URL()), raw(t, replica.URL())
	build(t, s, 1, 5)
	if err := s.Barrier(ctx, s.Mark()); err != nil {
		t.Fatalf("without a replica: %v", err)
	}
	if err := copies.ReplicaOf(ctx, "127.0.0.1", port(server.URL())).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica has joined", func() bool {
		state, err := c.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(state, "state=online")
	})
	// The master takes another master_replid then, so this fails once.
	eventually(t, "a barrier with the replica", func() bool { return s.Barrier(ctx, s.Mark()) == nil })
	build(t, s, 1, 5)
	for post := feed.PostID(10); post < 200; post++ {
		deliver(t, s, post, 1)
		if err := s.Barrier(ctx, s.Mark()); err != nil {
			t.Fatalf("with a replica: %v", err)
		}
		if n, err := copies.LLen(ctx, keyOf("b", 1)).Result(); err != nil || n != c.LLen(ctx, keyOf("b", 1)).Val() {
			t.Fatalf("after a barrier the replica has %d elements, %v", n, err)
		}
	}
	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, 200, 1)
	if err := s.Barrier(ctx, s.Mark()); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("a replica that has stalled: %v, want UNAVAILABLE", err)
	}
	if err := replica.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica has caught up", func() bool { return s.Barrier(ctx, s.Mark()) == nil })

	// One that is gone for good is not told from one that was promoted: the error says
	// what to do, and who has never seen it goes on without it.
	if err := copies.ReplicaOf(ctx, "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica has left", func() bool {
		err := s.Barrier(ctx, s.Mark())
		return err != nil && strings.Contains(err.Error(), "restart the workers")
	})
	restarted := open(t, server.URL(), redis.Options{Cap: 100, Prefix: "b"})
	deliver(t, restarted, 201, 1)
	if err := restarted.Barrier(ctx, restarted.Mark()); err != nil {
		t.Errorf("a worker that was restarted: %v", err)
	}
}

// A master that was deposed refuses, and so does one whose replica was promoted.
func TestDeposedMaster(t *testing.T) {
	server, replica := own(t, "--repl-diskless-sync-delay", "0"), own(t)
	s := open(t, server.URL(), redis.Options{Cap: 100, Prefix: "b"})
	c, copies := raw(t, server.URL()), raw(t, replica.URL())
	build(t, s, 1, 5)
	if err := copies.ReplicaOf(ctx, "127.0.0.1", port(server.URL())).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica has joined", func() bool {
		n, err := copies.Exists(ctx, keyOf("b", 1)).Result()
		return err == nil && n == 1 && s.Barrier(ctx, s.Mark()) == nil
	})
	if err := copies.ReplicaOf(ctx, "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	other := open(t, replica.URL(), redis.Options{Cap: 100, Prefix: "b"})
	if page := read(t, other, 1); page.State != timeline.Absent {
		t.Fatalf("on the server that was promoted: %+v, want absent", page)
	}
	deliver(t, s, 6, 1) // acknowledged, and about to be lost
	for range 2 {
		if err := s.Barrier(ctx, s.Mark()); feed.CodeOf(err) != feed.CodeUnavailable {
			t.Fatalf("a master whose replica was promoted: %v, want UNAVAILABLE", err)
		}
	}
	if err := c.ReplicaOf(ctx, "127.0.0.1", port(replica.URL())).Err(); err != nil {
		t.Fatal(err)
	}
	// Even one that takes writes as a replica.
	if err := c.ConfigSet(ctx, "replica-read-only", "no").Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Barrier(ctx, s.Mark()); feed.CodeOf(err) != feed.CodeUnavailable {
			t.Fatalf("a master that was deposed: %v, want UNAVAILABLE", err)
		}
	}
}
