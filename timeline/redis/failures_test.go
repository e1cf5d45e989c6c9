package redis_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// The trap "eviction and expiry": LPUSHX counts as use, so the timelines of the
// absent are the ones in use. Under volatile-ttl they go first all the same, as
// only a Read renews the TTL; and what goes goes whole.
func TestEvictionTakesTheAbsent(t *testing.T) {
	const viewers, readers = 300, 100
	server := own(t, "--maxmemory-samples", "50")
	s := open(t, server.URL(), redis.Options{Cap: 400, Prefix: "e"})
	c := raw(t, server.URL())
	var absent []feed.UserID
	for v := feed.UserID(1); v <= viewers; v++ {
		build(t, s, v, 200)
		if v > readers {
			absent = append(absent, v)
		}
		ttl := time.Hour // as after a day without reading, were they a day old
		if v <= readers {
			ttl = 2 * time.Hour
		}
		if err := c.PExpire(ctx, keyOf("e", v), ttl).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for v := feed.UserID(1); v <= readers; v++ {
		read(t, s, v)
	}
	used := infoNumber(t, c, "used_memory")
	if err := c.ConfigSet(ctx, "maxmemory", fmt.Sprint(used-300_000)).Err(); err != nil {
		t.Fatal(err)
	}
	for post := feed.PostID(1000); post < 1100; post++ {
		deliver(t, s, post, absent...)
	}
	// To look takes memory, too, and shall evict nothing.
	if err := c.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	gone := 0
	for v := feed.UserID(1); v <= viewers; v++ {
		page := read(t, s, v)
		switch {
		case page.State == timeline.Live && v <= readers && len(page.Entries) == 200:
		case page.State == timeline.Live && v > readers && len(page.Entries) == 300:
		case page.State == timeline.Absent && v > readers:
			gone++
		default:
			t.Fatalf("viewer %d: state %d, %d entries", v, page.State, len(page.Entries))
		}
	}
	if gone < 20 || infoNumber(t, c, "evicted_keys") != int64(gone) {
		t.Fatalf("%d timelines are gone, %d keys evicted", gone, infoNumber(t, c, "evicted_keys"))
	}
}

// T8: only Read and Create renew the TTL; a cut, a Fold and an act keep it.
func TestOnlyReadsRenew(t *testing.T) {
	url := shared(t)
	c := raw(t, url)
	prefix := rand.Text()
	s := open(t, url, redis.Options{Cap: 8, Idle: time.Hour, Prefix: prefix})
	token := build(t, s, 1, 5)
	key := keyOf(prefix, 1)
	ttl := func() time.Duration { return c.PTTL(ctx, key).Val() }
	const rest = 10 * time.Minute
	steps := map[string]func(){
		"Deliver":  func() { deliver(t, s, 50, 1) },
		"a cut":    func() { s.Deliver(ctx, manyPosts(1, 100, 30)) },
		"Fold":     func() { s.Fold(ctx, 1, token, 1, 1, []timeline.Entry{timeline.Rebuilt(200)}) },
		"Announce": func() { s.Announce(ctx, timeline.Act{Viewer: 1}) },
		"a Read of another life": func() {
			s.Read(ctx, timeline.Query{Viewer: 1, Before: feed.MaxPostID, Limit: 9, Life: life + 1})
		},
	}
	for name, step := range steps {
		if err := c.PExpire(ctx, key, rest).Err(); err != nil {
			t.Fatal(err)
		}
		if step(); ttl() > rest || ttl() < rest-time.Minute {
			t.Errorf("after %s the timeline expires in %v, want %v", name, ttl(), rest)
		}
	}
	if read(t, s, 1); ttl() < time.Hour-time.Minute {
		t.Errorf("after Read the timeline expires in %v, want an hour", ttl())
	}
}

// A server without memory to give says what to do, and loses nothing that it
// held; what it did not take comes back.
func TestOutOfMemory(t *testing.T) {
	server := own(t, "--maxmemory-policy", "noeviction")
	s := open(t, server.URL(), redis.Options{Cap: 8})
	c := raw(t, server.URL())
	token := build(t, s, 1, 5)
	if err := c.ConfigSet(ctx, "maxmemory", "100kb").Err(); err != nil {
		t.Fatal(err)
	}
	out, err := s.Deliver(ctx, manyPosts(1, 10, 3))
	if err != nil || len(out.Undelivered) != 1 || len(out.Undelivered[0].Deliveries) != 3 {
		t.Fatalf("%+v, %v; want three posts that were not delivered", out, err)
	}
	_, _, createErr := s.Create(ctx, 2, life)
	_, foldErr := s.Fold(ctx, 1, token, 1, 2, []timeline.Entry{timeline.Rebuilt(9)})
	for _, err := range []error{out.Undelivered[0].Err, createErr, foldErr} {
		if feed.CodeOf(err) != feed.CodeUnavailable || !strings.Contains(err.Error(), "volatile-ttl") {
			t.Fatalf("the error is %v, want UNAVAILABLE and what to do", err)
		}
	}
	shows(t, s, 1, 5, 4, 3, 2, 1)
	if err := c.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Deliver(ctx, out.Undelivered[0].Deliveries); err != nil || out.Entries != 3 {
		t.Fatalf("once there is memory: %+v, %v", out, err)
	}
	shows(t, s, 1, 12, 11, 10, 5, 4, 3, 2, 1)
}

// A server that has stalled is cut by deadlines: the caller's, and our own. What
// is pending then is not sent pipeline after pipeline into the stall.
func TestStalledServer(t *testing.T) {
	server := own(t)
	s := open(t, server.URL(), redis.Options{})
	build(t, s, 1, 5)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := s.Read(short, timeline.Query{Viewer: 1, Life: life}); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Errorf("Read: %v, want UNAVAILABLE", err)
	}
	if took := time.Since(start); took > 1500*time.Millisecond {
		t.Errorf("a deadline of 50 ms cut Read after %v", took)
	}
	viewers := make([]feed.UserID, 50_000) // a hundred pipelines
	for i := range viewers {
		viewers[i] = feed.UserID(i + 1)
	}
	start = time.Now()
	out, err := s.Deliver(ctx, []timeline.Delivery{{Post: 9, Viewers: viewers}})
	if err != nil || len(out.Undelivered) != 1 || len(out.Undelivered[0].Deliveries[0].Viewers) != len(viewers) {
		t.Errorf("Deliver: %d shards did not take all, %v", len(out.Undelivered), err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("Deliver gave up after %v", took)
	}
	start = time.Now()
	for range 20 {
		if out, err := s.Deliver(ctx, manyPosts(1, 9, 1)); err != nil || len(out.Undelivered) != 1 {
			t.Errorf("Deliver again: %d shards did not take all, %v", len(out.Undelivered), err)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("twenty more calls took %v: each waits for a server that is known to have stalled", took)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is delivered, once the server goes on", func() bool {
		again, err := s.Deliver(ctx, out.Undelivered[0].Deliveries)
		return err == nil && len(again.Undelivered) == 0
	})
	shows(t, s, 1, 9, 5, 4, 3, 2, 1)
}

// Down, and up again: UNAVAILABLE meanwhile, and no call needs a second try.
func TestDownAndUp(t *testing.T) {
	server := own(t)
	s := open(t, server.URL(), redis.Options{})
	build(t, s, 1, 5)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Read(ctx, timeline.Query{Viewer: 1})
	out, _ := s.Deliver(ctx, manyPosts(1, 9, 1))
	if len(out.Undelivered) != 1 {
		t.Fatalf("%+v, want a shard that fails", out)
	}
	for name, err := range map[string]error{
		"Read": err, "Deliver": out.Undelivered[0].Err, "Barrier": s.Barrier(ctx, s.Mark()),
		"Drop": s.Drop(ctx, 1), "Announce": s.Announce(ctx, timeline.Act{Viewer: 1}),
	} {
		if feed.CodeOf(err) != feed.CodeUnavailable {
			t.Errorf("%s: %v, want UNAVAILABLE", name, err)
		}
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	build(t, s, 1, 5)
	shows(t, s, 1, 5, 4, 3, 2, 1)
}

// Scripts are flushed while calls of all kinds are under way: none fails, and
// nothing delivered is lost.
func TestScriptFlush(t *testing.T) {
	server := own(t)
	s := open(t, server.URL(), redis.Options{Cap: 16})
	c := raw(t, server.URL())
	build(t, s, 1, 0)
	const posts = 600
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for range 50 {
			if err := c.ScriptFlush(ctx).Err(); err != nil {
				t.Error(err)
			}
			if err := s.Announce(ctx, timeline.Act{Viewer: 1, Deleted: 2}); err != nil {
				t.Error(err)
			}
		}
	})
	for post := feed.PostID(1); post <= posts; post++ {
		deliver(t, s, post, 1)
		if post%5 == 0 && read(t, s, 1).Entries[0].ID() != post {
			t.Fatalf("post %d is missing", post)
		}
	}
	wg.Wait()
	var got []feed.PostID
	for _, e := range read(t, s, 1).Entries[:16] {
		got = append(got, e.ID())
	}
	for i, post := range got {
		if post != posts-feed.PostID(i) {
			t.Fatalf("the newest are %v", got)
		}
	}
	if !slices.IsSortedFunc(got, func(a, b feed.PostID) int { return int(b - a) }) {
		t.Fatal(got)
	}
}

// manyPosts are n posts from first on, for one viewer.
func manyPosts(v feed.UserID, first feed.PostID, n int) []timeline.Delivery {
	var all []timeline.Delivery
	for i := range n {
		all = append(all, timeline.Delivery{Post: first + feed.PostID(i), Viewers: []feed.UserID{v}})
	}
	return all
}
