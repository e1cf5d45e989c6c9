package fanout_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/feed/policy"
	"skein/timeline"
)

const author feed.UserID = 1_000_000

// A post reaches all live timelines of its followers, by each lane: few followers
// are delivered to at once, many through chunks of either lane.
func TestPostsReachEveryFollower(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.settings(policy.Push, 1)
	viewers := r.followers(author, 9_000)
	small := author + 1
	r.followers(small, 40)
	f, _ := r.start()
	many, few := r.post(author), r.post(small)
	f.Wake()
	r.eventually("both posts are everywhere", func() bool {
		return r.missing(many, viewers) == 0 && r.missing(few, viewers[:40]) == 0
	})
	if r.has(viewers[40], few) {
		t.Error("a post reached somebody who does not follow its author")
	}
	if r.timelines.barriers.Load() == 0 {
		t.Error("offsets were committed without a barrier")
	}
	r.eventually("the top passes them", func() bool { return topOf(f, 0) > few })
}

// Trap "the celebrity in one partition": the chunks of one post spread over the
// partitions, tile all followers, and come in another order for another post (F6).
func TestChunksSpreadAndVary(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.settings(policy.Push, 1)
	r.followers(author, 90_000)
	f, _ := r.start()
	posts := []feed.PostID{r.post(author), r.post(author)}
	f.Wake()
	const topic = "chunks-large"
	r.eventually("both posts are cut", func() bool { return len(r.log.records(topic)) == 2*24 })
	partitions := map[int]bool{}
	order := map[feed.PostID]string{}
	for _, rec := range r.log.records(topic) {
		partitions[r.log.PartitionOf(topic, rec.Key)] = true
		order[rec.Post] += string(rec.Key[8:])
	}
	if len(partitions) < 4 {
		t.Errorf("24 chunks of a post lie in %d partitions", len(partitions))
	}
	if order[posts[0]] == order[posts[1]] {
		t.Error("the chunks of two posts come in the same order")
	}
}

// F1 and the trap "an order that nobody keeps": events that come twice and in any
// order leave the same timelines.
func TestEventsInAnyOrderAndTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 20)
	f, kill := r.start()
	var ids []feed.PostID
	for range 50 {
		ids = append(ids, r.post(author))
	}
	f.Wake()
	r.eventually("all are delivered", func() bool { return topOf(f, 0) > ids[49] })
	kill()
	// A second relay publishes all of them again, newest first.
	events := r.log.records("posts")
	for i := len(events) - 1; i >= 0; i-- {
		must(t, r.log.Append(context.Background(), "posts", events[i]))
	}
	f, _ = r.start()
	r.eventually("they are handled again", func() bool { return r.timelines.repeats.Load() >= 50*20 })
	for _, v := range viewers {
		page, err := r.timelines.Read(context.Background(), timeline.Query{Viewer: v, Before: feed.MaxPostID, Limit: 100})
		must(t, err)
		if len(page.Entries) != len(ids) {
			t.Fatalf("viewer %d has %d entries, want %d", v, len(page.Entries), len(ids))
		}
	}
	_ = f
}

// F2: workers are killed at random moments, in the middle of chunks, and started
// again on the log and the timelines that outlive them. Chunks may repeat; no
// follower is skipped.
func TestKilledWorkersSkipNothing(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	r.settings(policy.Push, 1)
	viewers := r.followers(author, 20_000)
	r.followers(author+1, 30)
	var many, few []feed.PostID
	for range 12 {
		f, kill := r.start()
		for range 3 {
			many, few = append(many, r.post(author)), append(few, r.post(author+1))
		}
		f.Wake()
		// Die in the middle of the n-th delivery from here.
		left, died := rng.IntN(12), make(chan struct{})
		hook := func([]timeline.Delivery) error {
			if left--; left == 0 {
				close(died)
			}
			if left <= 0 {
				return errors.New("killed")
			}
			return nil
		}
		serial := make(chan struct{}, 1)
		locked := func(d []timeline.Delivery) error {
			serial <- struct{}{}
			defer func() { <-serial }()
			return feedUnavailable(hook(d))
		}
		if left > 0 {
			r.timelines.hook.Store(&locked)
			select {
			case <-died:
			case <-time.After(time.Second):
			}
		}
		kill()
		r.timelines.hook.Store(nil)
	}
	f, _ := r.start()
	r.eventually("the top passes the last post", func() bool { return topOf(f, 0) > few[len(few)-1] })
	for _, id := range many {
		if n := r.missing(id, viewers); n > 0 {
			t.Errorf("post %d is missing from %d of %d timelines", id, n, len(viewers))
		}
	}
	for _, id := range few {
		if n := r.missing(id, viewers[:30]); n > 0 {
			t.Errorf("post %d is missing from %d of 30 timelines", id, n)
		}
	}
	t.Logf("%d deliveries were repeated", r.timelines.repeats.Load())
}

func feedUnavailable(err error) error {
	if err == nil {
		return nil
	}
	return feed.Unavailable("deliver", err)
}

// F3 and the trap "a shard that holds the watermark": while one shard fails its
// deliveries are parked, its top stays behind, and the other shard goes on. When
// it works again nothing is missing.
func TestAFailingShardStopsNobodyElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.timelines.shards = 2
	viewers := r.followers(author, 100)
	r.timelines.fail(1)
	f, kill := r.start()
	id := r.post(author)
	f.Wake()
	r.eventually("the good shard's top passes", func() bool { return topOf(f, 0) > id })
	var good, bad []feed.UserID
	for _, v := range viewers {
		if r.timelines.Shard(v) == 0 {
			good = append(good, v)
		} else {
			bad = append(bad, v)
		}
	}
	if n := r.missing(id, good); n > 0 {
		t.Errorf("%d viewers of the good shard lack the post", n)
	}
	if r.missing(id, bad) != len(bad) || topOf(f, 1) > id {
		t.Errorf("the failing shard lacks %d of %d, its top is %d, the post %d", r.missing(id, bad), len(bad), topOf(f, 1), id)
	}
	// It outlives the process.
	kill()
	f, _ = r.start()
	if topOf(f, 1) > id {
		t.Errorf("after a restart the failing shard's top is %d, the post %d", topOf(f, 1), id)
	}
	r.timelines.fail()
	r.eventually("the shard has caught up", func() bool { return topOf(f, 1) > id })
	if n := r.missing(id, bad); n > 0 {
		t.Errorf("%d viewers of the healed shard lack the post", n)
	}
}

// F5: what cannot be handled is set aside with its post, stops nobody, and is
// delivered by a replay.
func TestSetAsideAndReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 10)
	poison := r.post(author)
	bad := errors.New("this post breaks the store")
	hook := func(deliveries []timeline.Delivery) error {
		for _, d := range deliveries {
			if d.Post == poison {
				return bad
			}
		}
		return nil
	}
	r.timelines.hook.Store(&hook)
	f, kill := r.start()
	garbled := r.post(author) // an event that nobody can read, of a post that exists
	must(t, r.log.Append(context.Background(), "posts",
		eventlog.Record{Key: []byte("x"), Value: []byte("\xff\xff"), Post: garbled, Low: poison},
		eventlog.Record{Key: []byte("y"), Value: []byte("\xff\xff")}))
	after := r.post(author)
	f.Wake()
	r.eventually("the next post is delivered", func() bool { return r.missing(after, viewers) == 0 })
	r.eventually("both are listed", func() bool {
		aside := asideOf(f)
		return len(aside) == 2 && aside[0] == feed.Ref{Post: garbled, Author: author} && aside[1] == feed.Ref{Post: poison, Author: author}
	})
	r.eventually("the top passes them", func() bool { return topOf(f, 0) > after })

	// The list outlives the process.
	kill()
	f, _ = r.start()
	if n := len(asideOf(f)); n != 2 {
		t.Fatalf("after a restart %d posts are set aside", n)
	}
	before, err := f.Replay(t.Context())
	if !errors.Is(err, bad) {
		t.Errorf("the replay of what still fails says %v", err)
	}
	r.timelines.hook.Store(nil)
	if n, err := f.Replay(t.Context()); err != nil || before+n != 3 {
		t.Errorf("replayed %d and %d records of 3, %v", before, n, err)
	}
	if r.missing(poison, viewers)+r.missing(garbled, viewers) > 0 {
		t.Error("a replayed post is missing")
	}
	r.eventually("the list is empty", func() bool { return len(asideOf(f)) == 0 })
}

// A replay into a shard that fails keeps the post on the list: it is too old for
// the lane of what is parked, whose records promise that nothing older follows.
func TestReplayIntoAFailingShard(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 10)
	f, _ := r.start()
	hook := func([]timeline.Delivery) error { return errors.New("this store breaks") }
	r.timelines.hook.Store(&hook)
	id := r.post(author)
	f.Wake()
	r.eventually("it is set aside, and the top passes", func() bool { return len(asideOf(f)) == 1 && topOf(f, 0) > id })
	r.timelines.hook.Store(nil)
	r.timelines.fail(0)
	if n, err := f.Replay(t.Context()); n != 0 || feed.CodeOf(err) != feed.CodeUnavailable {
		t.Errorf("replayed %d, %v", n, err)
	}
	if len(r.log.records("parked")) > 0 || len(asideOf(f)) != 1 {
		t.Error("the post left the list without being delivered")
	}
	r.timelines.fail()
	if n, err := f.Replay(t.Context()); n != 1 || err != nil || r.missing(id, viewers) > 0 {
		t.Errorf("replayed %d, %v; it is missing from %d", n, err, r.missing(id, viewers))
	}
}

// A worker that panics on a record sets it aside rather than die at each start.
func TestAPanicIsSetAside(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 10)
	poison := r.post(author)
	hook := func(deliveries []timeline.Delivery) error {
		if deliveries[0].Post == poison {
			panic("poison")
		}
		return nil
	}
	r.timelines.hook.Store(&hook)
	f, _ := r.start()
	r.eventually("it is set aside", func() bool { return len(asideOf(f)) == 1 })
	next := r.post(author)
	f.Wake()
	r.eventually("the next post is delivered", func() bool { return r.missing(next, viewers) == 0 })
}

// The failure table, "timelines", F1, F2 and F4: while no barrier succeeds nothing is
// committed, and what waits in the log does not grow by itself; once one does, the batch
// is done again. So also where a barrier succeeds for those who delivered nothing.
func TestTimelinesAway(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]func(*testTimelines) *atomic.Bool{
		"away":    func(s *testTimelines) *atomic.Bool { return &s.away },
		"deposed": func(s *testTimelines) *atomic.Bool { return &s.deposed },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.timelines.shards = 2
			viewers := r.followers(author, 3_000)
			few := r.followers(author+1, 10)
			failing(r.timelines).Store(true)
			r.timelines.fail(0)
			many, id := r.post(author), r.post(author+1)
			f, _ := r.start()
			tried := r.timelines.barriers.Load()
			r.eventually("many barriers fail", func() bool { return r.timelines.barriers.Load() > tried+20 })
			chunks, parked := r.log.records("chunks-large"), r.log.records("parked")
			if len(chunks) > 1 || len(parked) > 0 { // nothing need be delivered before a chunk is cut
				t.Errorf("meanwhile %d chunks of one post were appended to the log, and %d parked deliveries", len(chunks), len(parked))
			}
			if pending, err := r.log.Pending(t.Context(), "fanout", "posts"); err != nil || !slices.ContainsFunc(pending, func(p eventlog.Pending) bool { return p.Count > 0 }) {
				t.Errorf("the posts were committed before the timelines had them: %v (%v)", pending, err)
			}
			failing(r.timelines).Store(false)
			r.eventually("all is delivered or parked", func() bool { return len(r.log.records("parked")) >= 2 })
			if r.timelines.repeats.Load() == 0 {
				t.Error("what was delivered before the barrier was not done again")
			}
			r.timelines.fail()
			r.eventually("all is delivered", func() bool {
				return r.missing(many, viewers)+r.missing(id, few) == 0 && topOf(f, 0) > max(many, id)
			})
			chunks, parked = r.log.records("chunks-large"), r.log.records("parked")
			if len(chunks) != 1 || len(parked) != 2 {
				t.Errorf("%d chunks and %d parked deliveries of two posts were appended to the log", len(chunks), len(parked))
			}
		})
	}
}

// The failure table, "event log": posts are taken, delivery waits in storage, and
// the top says so.
func TestLogDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 10)
	f, _ := r.start()
	r.log.down.Store(true)
	id := r.post(author)
	f.Wake()
	r.eventually("the top reaches the post and stays", func() bool { return topOf(f, 0) == id })
	r.log.down.Store(false)
	r.eventually("it is delivered", func() bool { return r.missing(id, viewers) == 0 && topOf(f, 0) > id })
}

// Trap "a tier that changes": the planner that sees an author grow past the
// threshold changes the tier, at an id far enough ahead, and posts from there on
// are not pushed.
func TestAnAuthorBecomesLoudAndQuietAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.settings(policy.Hybrid, 100)
	viewers := r.followers(author, 100)
	f, _ := r.start()
	first := r.post(author)
	f.Wake()
	r.eventually("the post that found out is pushed", func() bool { return r.missing(first, viewers) == 0 })
	var history policy.History
	r.eventually("the tier is changed", func() bool {
		changes, err := r.store.GetTiers(context.Background(), 0)
		history = changes.Histories[author]
		return err == nil && len(history) == 1
	})
	if ahead := history[0].From.Time().Sub(first.Time()); ahead < policy.Lead {
		t.Errorf("the change is %v ahead, less than the lead", ahead)
	}
	r.eventually("it takes effect", func() bool { return feed.IDAt(time.Now()) > history[0].From })
	second := r.post(author)
	f.Wake()
	r.eventually("the top passes it", func() bool { return topOf(f, 0) > second })
	if n := r.missing(second, viewers); n != len(viewers) {
		t.Errorf("a loud author's post was pushed to %d", len(viewers)-n)
	}
	for _, v := range viewers[:30] {
		_, err := r.store.Unfollow(context.Background(), feed.Follow{Viewer: v, Author: author})
		must(t, err)
	}
	r.post(author)
	f.Wake()
	r.eventually("it changes back", func() bool {
		changes, err := r.store.GetTiers(context.Background(), 0)
		return err == nil && changes.Histories[author].Latest() == policy.Quiet
	})
}

// Stop finishes the batch at hand and commits it: nothing is repeated afterwards.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 100)
	entered, release := make(chan struct{}), make(chan struct{})
	hook := func([]timeline.Delivery) error { close(entered); <-release; return nil }
	r.timelines.hook.Store(&hook)
	f, _ := r.start()
	id := r.post(author)
	f.Wake()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- f.Stop(t.Context()) }()
	select {
	case <-stopped:
		t.Fatal("it stopped with a batch in flight")
	default:
	}
	r.timelines.hook.Store(nil)
	close(release)
	must(t, <-stopped)
	if r.missing(id, viewers) > 0 {
		t.Error("the batch in flight was not finished")
	}
	must(t, f.Stop(t.Context())) // twice is no error
	f, _ = r.start()
	r.eventually("the top passes", func() bool { return topOf(f, 0) > id })
	if n := r.timelines.repeats.Load(); n > 0 {
		t.Errorf("%d deliveries were repeated after a clean stop", n)
	}
}
