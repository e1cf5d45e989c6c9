package server_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"skein/feed"
	"skein/feed/policy"
	feedv1 "skein/proto/feed/v1"
	"skein/timeline"
)

// Trap "a rebuild without a fence", T1 and T7: between the scan and the finish the
// timeline is evicted, and a post is fanned out that therefore finds none. The
// finish must not make the scan's result live.
func TestRebuildEvictedBetweenScanAndFinish(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	old := r.post(2)
	var missed int64
	r.posts.once(func() {
		must(r, r.timelines.Drop(r.Context(), 1))
		missed = r.pushed(2)
	})
	got, _ := r.scroll(1, 50)
	if want := []int64{missed, old}; !slices.Equal(got, want) {
		t.Errorf("the read whose rebuild was overtaken shows %v, want %v", got, want)
	}
	r.wantHome(1, missed, old)
}

// The same, and meanwhile another server has built the timeline anew: its build
// stands, the late finish changes nothing.
func TestRebuildTakenOverByAnother(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	old := r.post(2)
	var missed int64
	r.posts.once(func() {
		must(r, r.timelines.Drop(r.Context(), 1))
		missed = r.pushed(2)
		token, ok, err := r.timelines.Create(r.Context(), 1, 0)
		must(r, err)
		ok2, err := r.timelines.Finish(r.Context(), 1, token,
			[]timeline.Entry{timeline.Rebuilt(feed.PostID(missed)), timeline.Rebuilt(feed.PostID(old))}, 0, 1)
		must(r, err)
		if !ok || !ok2 {
			t.Fatal("the other server could not build")
		}
	})
	r.page(1, 50, "")
	r.wantHome(1, missed, old)
}

// A post that is committed and fanned out between the scan and the finish lands
// in the timeline being built.
func TestDeliveryIntoATimelineBeingBuilt(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	old := r.post(2)
	var late int64
	r.posts.once(func() { late = r.pushed(2) })
	r.page(1, 50, "")
	sources := r.wantHome(1, late, old)
	if want := []feedv1.Source{feedv1.Source_SOURCE_PUSHED, feedv1.Source_SOURCE_REBUILT}; !slices.Equal(sources, want) {
		t.Errorf("sources are %v, want %v", sources, want)
	}
}

// T7: however many readers ask, a lost timeline is rebuilt once.
func TestRebuiltOnceForAllReaders(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	id := r.post(2)
	release, entered := make(chan struct{}), make(chan struct{})
	r.posts.once(func() { close(entered); <-release })
	var readers sync.WaitGroup
	for range 20 {
		readers.Go(func() {
			got, _ := r.scroll(1, 50)
			if !slices.Equal(got, []int64{id}) {
				t.Errorf("a reader sees %v", got)
			}
		})
	}
	<-entered
	close(release)
	readers.Wait()
	if n := r.timelines.creates.Load(); n != 1 {
		t.Errorf("the timeline was built %d times", n)
	}
}

// Trap "a follow that races with fan-out": the fan-out lists the followers before
// the edge is committed and delivers after the follower has read.
func TestFollowAfterTheListing(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(3)
	r.follow(1, 3)
	base := r.pushed(3)
	r.wantHome(1, base) // live
	id := r.post(2)
	listed := r.list(2)
	r.follow(1, 2)
	sources := r.wantHome(1, id, base)
	if sources[0] != feedv1.Source_SOURCE_NEWLY_FOLLOWED {
		t.Errorf("the new author's post comes from %v", sources[0])
	}
	r.deliver(id, listed)
	// By now it is folded in.
	sources = r.wantHome(1, id, base)
	if sources[0] != feedv1.Source_SOURCE_REBUILT {
		t.Errorf("folded, the post comes from %v", sources[0])
	}
	// And what the author posts from now on is pushed.
	next := r.pushed(2)
	if sources = r.wantHome(1, next, id, base); sources[0] != feedv1.Source_SOURCE_PUSHED {
		t.Errorf("the next post comes from %v", sources[0])
	}
}

// The follow is committed between the scan of a rebuild and its finish.
func TestFollowDuringARebuild(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(3)
	r.follow(1, 3)
	a, b := r.post(3), r.post(2)
	r.posts.once(func() { r.follow(1, 2) })
	r.page(1, 50, "")
	r.wantHome(1, b, a)
}

// The process dies between the edge's commit and everything else: nothing needs
// to run there. Only the cached copy has to end.
func TestFollowWhoseAnswerWasLost(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.wantHome(1)
	id := r.post(2)
	if _, err := r.store.Follow(r.Context(), feed.Follow{Viewer: 1, Author: 2}); err != nil {
		t.Fatal(err)
	}
	r.clock.Add(2 * time.Second)
	r.wantHome(1, id)
}

// The fold happens while a post of the new author is fanned out, committed after
// the fold's scan.
func TestFoldRacesWithADelivery(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.wantHome(1)
	first := r.post(2)
	r.follow(1, 2)
	var second int64
	// The page pulls once, then the fold scans: the hook of the first sets
	// that of the second.
	r.posts.once(func() { r.posts.once(func() { second = r.pushed(2) }) })
	r.page(1, 50, "")
	r.wantHome(1, second, first)
}

// Trap "an unfollow that comes back": the chunk was cut before, and delivers
// after. A new follow finds the entries again.
func TestUnfollowDoesNotComeBack(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	id := r.post(2)
	listed := r.list(2)
	r.unfollow(1, 2)
	r.wantHome(1)
	r.deliver(id, listed)
	r.wantHome(1)
	r.follow(1, 2)
	r.wantHome(1, id)
}

// Trap "a tier that changes": posts before the change are pushed, those from it on
// pulled, and back, with no interval missed, whether the timeline is old or
// rebuilt meanwhile.
func TestTierChangesLoseNothing(t *testing.T) {
	for name, evict := range map[string]bool{"live": false, "rebuilt": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			r.users(2)
			r.follow(1, 2)
			r.wantHome(1)
			var want []int64
			var history policy.History
			tier := policy.Quiet
			for round := range 6 {
				// Fan out as the tier says as of each id, across the change.
				next := policy.Tier(1 - round%2)
				from := feed.IDAt(r.clock.Now().Add(policy.Lead + time.Second))
				changed := history.Add(policy.Change{From: from, Tier: next})
				must(r, r.store.ChangeTier(r.Context(), 2, history, changed))
				history = changed
				for range 8 {
					id := r.post(2)
					if history.At(feed.PostID(id)) == policy.Quiet {
						r.deliver(id, r.list(2))
					}
					want = append([]int64{id}, want...)
					r.clock.Add(800 * time.Millisecond)
				}
				if history.At(feed.PostID(want[0])) == tier {
					t.Fatal("the change did not take effect within the round")
				}
				tier = next
				if evict {
					must(r, r.timelines.Drop(r.Context(), 1))
				}
				r.clock.Add(5 * time.Second)
				r.wantHome(1, want...)
			}
		})
	}
}

// F5: a post whose event was set aside is pulled, not missing, and only by those
// who follow its author.
func TestSetAsideIsPulled(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(3)
	r.follow(1, 2)
	r.wantHome(1)
	r.wantHome(3)
	id := r.post(2)
	r.wantHome(1)
	r.fanout.aside.Store(&[]feed.Ref{{Post: feed.PostID(id), Author: 2}})
	if sources := r.wantHome(1, id); sources[0] != feedv1.Source_SOURCE_PULLED {
		t.Errorf("it comes from %v", sources[0])
	}
	r.wantHome(3)
}

// The top: what lies above it is pulled once it is older than the lag bound, and
// what lies below is not asked for.
func TestAboveTheTop(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	delivered := r.pushed(2)
	waiting := r.post(2)
	r.fanout.top.Store(waiting)
	r.wantHome(1, delivered) // the lag bound has not passed
	r.clock.Add(4 * time.Second)
	sources := r.wantHome(1, waiting, delivered)
	if want := []feedv1.Source{feedv1.Source_SOURCE_ABOVE_TOP, feedv1.Source_SOURCE_PUSHED}; !slices.Equal(sources, want) {
		t.Errorf("sources are %v, want %v", sources, want)
	}
}

// T7: a build that storage failed, or that its builder did not live to finish, is
// begun again; its reader does not pull for ever.
func TestABuildLeftHalfDoneIsTakenUp(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	id := r.post(2)
	live := func() int64 {
		stats, err := r.timelines.Stats(t.Context())
		must(r, err)
		return stats.Live
	}
	r.posts.failNewest.Store(1)
	_, err := r.GetHomeTimeline(t.Context(), &feedv1.GetHomeTimelineRequest{ViewerId: 1})
	wantCode(t, err, codes.Unavailable)
	r.wantHome(1, id)
	if live() != 1 {
		t.Error("after a failed rebuild the next read did not build")
	}
	// A builder that died.
	must(r, r.timelines.Drop(r.Context(), 1))
	_, ok, err := r.timelines.Create(r.Context(), 1, 0)
	must(r, err)
	r.wantHome(1, id) // pulled: somebody seems to be at it
	if !ok || live() != 0 {
		t.Fatal("the dead builder's timeline is not there")
	}
	r.clock.Add(61 * time.Second)
	r.wantHome(1, id)
	if live() != 1 {
		t.Error("after a minute nobody took over the build")
	}
}

// F5 and T1: a replay delivers a post and takes it off the list while a page is
// made. The page read the list before the timeline, so it has the post by one or
// by the other.
func TestReplayDuringARead(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	id := r.post(2)
	r.fanout.aside.Store(&[]feed.Ref{{Post: feed.PostID(id), Author: 2}})
	replay := func() {
		r.deliver(id, r.list(2))
		r.fanout.aside.Store(nil)
	}
	r.timelines.afterRead.Store(&replay)
	got, _ := r.scroll(1, 50)
	if !slices.Equal(got, []int64{id}) {
		t.Errorf("the page shows %v, want %v", got, []int64{id})
	}
}

// Trap "a tier that changes": a rebuild that waited long leaves out an author who
// turned loud meanwhile; the page that waited for it knows.
func TestTierChangesWhileAPageWaitsForARebuild(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	must(r, r.timelines.Drop(r.Context(), 1))
	var id int64
	wait := func() { // between the absent read and the rebuild
		r.loud(2)
		id = r.post(2)
		r.clock.Add(5 * time.Second)
	}
	r.timelines.afterRead.Store(&wait)
	got, _ := r.scroll(1, 50)
	if !slices.Equal(got, []int64{id}) {
		t.Errorf("the page shows %v, want %v", got, []int64{id})
	}
}
