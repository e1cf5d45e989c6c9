package redis_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// quick has a cluster find out about failures within a second or two.
var quick = servers.ClusterSpec{Replicas: true, Args: []string{"--cluster-node-timeout", "1000"}}

// inherit makes the replica of v's master its successor, and keeps the master from
// learning of it: it goes on as one, cut off from all others.
func inherit(m members, v feed.UserID) {
	m.t.Helper()
	deposed, heir := m.pairOf(m.slotOf(v))
	for id := range m.clients {
		if id != deposed {
			m.say(deposed, "FORGET", id)
		}
	}
	m.say(heir, "FAILOVER", "TAKEOVER")
	eventually(m.t, "the replica is master", func() bool {
		info, _ := m.clients[heir].Info(ctx, "replication").Result()
		return strings.Contains(info, "role:master")
	})
	eventually(m.t, "all others know", func() bool {
		for id := range m.clients {
			if line := m.nodes(id)[heir]; id != deposed && (len(line) < 9 || !strings.Contains(line[2], "master")) {
				return false
			}
		}
		return true
	})
	for id := range m.clients {
		if id != deposed {
			m.say(id, "FORGET", deposed)
		}
	}
}

// T1, T7, the trap "the list that survives": a master that was deposed and does not
// know it acknowledges deliveries which nobody will read. The Barriers of all who used
// it fail, also after the view of the cluster was refreshed for another; the work done
// again reaches the successor. What is announced to the deposed master is refused too.
func TestDeposedInCluster(t *testing.T) {
	c := ownCluster(t, quick)
	m := membersOf(t, c)
	const v = feed.UserID(1)
	opts := redis.Options{Cap: 100, Prefix: "p"}
	s, announcing := open(t, c.URL(), opts), open(t, c.URL(), opts)
	build(t, s, v, 5)
	mark := s.Mark()
	deliver(t, s, 6, v)
	if err := s.Barrier(ctx, mark); err != nil {
		t.Fatalf("before: %v", err)
	}

	inherit(m, v)
	other := open(t, c.URL(), opts)
	if page := read(t, other, v); page.State != timeline.Absent {
		t.Fatalf("on the successor: %+v, want absent: it bears another stamp", page)
	}
	build(t, other, v, 6)
	shows(t, other, v, 6, 5, 4, 3, 2, 1)

	if err := announcing.Announce(ctx, timeline.Act{Viewer: v}); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Errorf("an act announced to a deposed master: %v, want UNAVAILABLE", err)
	}
	if err := announcing.Announce(ctx, timeline.Act{Viewer: v, Deleted: 3}); err != nil {
		t.Errorf("announced again: %v", err)
	}

	first, second := s.Mark(), s.Mark()
	if out := deliver(t, s, 7, v); out.Entries != 1 {
		t.Fatalf("%+v: the deposed master does not take it, and the test tests nothing", out)
	}
	if err := s.Barrier(ctx, first); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("the Barrier of one worker: %v, want UNAVAILABLE", err)
	}
	if err := s.Barrier(ctx, second); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("the Barrier of another: %v, want UNAVAILABLE", err)
	}
	mark = s.Mark()
	deliver(t, s, 7, v)
	if err := s.Barrier(ctx, mark); err != nil {
		t.Fatalf("the work done again: %v", err)
	}
	shows(t, other, v, 7, 6, 5, 4, 3, 2, 1)
}

// T7: a master that was deposed and is master again has another stamp. Between, it had
// the data of another: a Barrier about what it took before fails, though its replicas
// acknowledge now.
func TestMasterAgain(t *testing.T) {
	c := ownCluster(t, quick)
	m := membersOf(t, c)
	const v = feed.UserID(1)
	s := open(t, c.URL(), redis.Options{Cap: 100, Prefix: "p"})
	build(t, s, v, 5)
	mark := s.Mark()
	deliver(t, s, 6, v)
	first, second := m.pairOf(m.slotOf(v))
	for _, heir := range []string{second, first} {
		m.say(heir, "FAILOVER", "TAKEOVER")
		eventually(t, "a replica has taken over", func() bool {
			info, _ := m.clients[heir].Info(ctx, "replication").Result()
			return strings.Contains(info, "role:master") && strings.Contains(info, "state=online")
		})
	}
	if err := s.Barrier(ctx, mark); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("a master that is one again: %v, want UNAVAILABLE", err)
	}
	if page := read(t, s, v); page.State != timeline.Absent {
		t.Fatalf("its lists: %+v, want absent", page)
	}
}

// "One of the nodes is down: all works, after seconds of failover": a replica that is
// away holds up Barriers until the cluster knows, and no longer. That it was away is no
// reason to trust its master later, when it is back and has deposed that one.
func TestReplicaAway(t *testing.T) {
	c := ownCluster(t, quick)
	m := membersOf(t, c)
	const v = feed.UserID(1)
	s := open(t, c.URL(), redis.Options{Cap: 100, Prefix: "p"})
	build(t, s, v, 0)
	post := feed.PostID(0)
	work := func() error {
		post++
		mark := s.Mark()
		deliver(t, s, post, v)
		return s.Barrier(ctx, mark)
	}
	if err := work(); err != nil {
		t.Fatal(err)
	}
	_, replica := m.pairOf(m.slotOf(v))
	if err := m.servers[replica].Kill(); err != nil {
		t.Fatal(err)
	}
	// A Barrier may wait for as long as the cluster needs to find out.
	if err := work(); err == nil && !m.failed(replica) || err != nil && feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("a replica has just died, and not all servers know it: %v, want UNAVAILABLE", err)
	}
	eventually(t, "the cluster knows that the replica has failed", func() bool { return work() == nil })
	if err := m.servers[replica].Start(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it follows again", func() bool {
		n, err := m.clients[replica].DBSize(ctx).Result()
		return err == nil && n > 0
	})
	inherit(m, v)
	if err := work(); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("it came back, and was promoted: %v, want UNAVAILABLE", err)
	}
}

// F3, T1, T7: a master is stopped until its replica is promoted, and goes on. All the
// while posts are delivered: other masters' viewers get theirs, and none is lost whose
// Barrier said it is safe.
func TestStoppedMaster(t *testing.T) {
	c := ownCluster(t, quick)
	m := membersOf(t, c)
	const viewers = 60
	opts := redis.Options{Cap: 1000, Prefix: "p"}
	s, late := open(t, c.URL(), opts), open(t, c.URL(), opts)
	var all []feed.UserID
	for v := feed.UserID(1); v <= viewers; v++ {
		all = append(all, v)
		build(t, s, v, 0)
	}
	stopped, heir := m.pairOf(m.slotOf(1))
	spared := all[slices.IndexFunc(all, func(v feed.UserID) bool {
		at, _ := m.masterOf(m.slotOf(v))
		return at != stopped
	})]
	post := feed.PostID(0)
	safe := map[feed.UserID][]feed.PostID{} // delivered, and its Barrier passed
	failed := map[int]bool{}
	work := func() (whole bool) {
		mark := s.Mark()
		post++
		out, err := s.Deliver(ctx, []timeline.Delivery{{Post: post, Viewers: all}})
		if err != nil {
			t.Fatal(err)
		}
		missed := map[feed.UserID]bool{}
		for _, u := range out.Undelivered {
			failed[u.Shard] = true
			for _, v := range u.Deliveries[0].Viewers {
				missed[v] = true
			}
		}
		if s.Barrier(ctx, mark) != nil {
			return false
		}
		for _, v := range all {
			if !missed[v] {
				safe[v] = append(safe[v], post)
			}
		}
		return len(missed) == 0
	}
	for range 20 {
		if !work() {
			t.Fatal("a delivery fails before anything happened")
		}
	}
	if err := m.servers[stopped].Pause(); err != nil {
		t.Fatal(err)
	}
	progress := len(safe[spared])
	eventually(t, "the replica is promoted", func() bool {
		work()
		info, _ := m.clients[heir].Info(ctx, "replication").Result()
		return strings.Contains(info, "role:master")
	})
	begun := time.Now()
	eventually(t, "all is delivered again", work)
	t.Logf("promoted; all was delivered again %v later, %d posts in all", time.Since(begun), post)
	if len(safe[spared]) == progress {
		t.Error("a master that has stopped holds up the others")
	}
	if len(failed) > 9 { // a third of the slots: five or six groups, some shared
		t.Errorf("%d of 16 shards failed with one master of three", len(failed))
	}
	deliver(t, late, post, all...) // it knows of nothing, and parks nothing
	for _, v := range all {
		if read(t, s, v).State == timeline.Absent {
			build(t, s, v, int(post)) // on the successor
		}
	}
	if err := m.servers[stopped].Resume(); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		work()
	}
	eventually(t, "all is delivered after it went on", work)
	reader := open(t, c.URL(), opts)
	for _, v := range all {
		if complete(t, reader, v, safe[v]) != timeline.Live {
			t.Errorf("the timeline of %d, built before, is not there", v)
		}
	}
}

// complete fails if a timeline that can be read lacks one of posts. That it is absent
// is a loss that shows: it is rebuilt.
func complete(t testing.TB, s *redis.Store, v feed.UserID, posts []feed.PostID) timeline.State {
	t.Helper()
	page := read(t, s, v)
	if page.State != timeline.Live {
		return page.State
	}
	has := map[feed.PostID]bool{}
	for _, e := range page.Entries {
		has[e.ID()] = true
	}
	for _, post := range posts {
		if post > page.Bottom && !has[post] {
			t.Fatalf("the timeline of %d is live and lacks post %d of %d", v, post, len(posts))
		}
	}
	return page.State
}
