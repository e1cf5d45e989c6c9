package fanout_test

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
	"skein/timeline"
)

// F3: while chunks of a post to many hang, a post to few is delivered.
func TestLanesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.settings(policy.Push, 1)
	r.followers(author, 5_000)
	viewers := r.followers(author+1, 10)
	release := make(chan struct{})
	hook := func(d []timeline.Delivery) error {
		if len(d[0].Viewers) > 1_000 {
			<-release
		}
		return nil
	}
	r.timelines.hook.Store(&hook)
	f, _ := r.start()
	many := r.post(author)
	f.Wake()
	r.eventually("it is cut", func() bool { return len(r.log.records("chunks-large")) > 0 })
	few := r.post(author + 1)
	f.Wake()
	r.eventually("the post to few is delivered", func() bool { return r.missing(few, viewers) == 0 })
	if topOf(f, 0) > many {
		t.Errorf("the top %d has passed the post %d that hangs", topOf(f, 0), many)
	}
	close(release)
	r.eventually("the top passes both", func() bool { return topOf(f, 0) > few })
}

// F3: of bulk, one chunk is in work at once if so configured, and a chunk of the large
// lane does not wait for it.
func TestLargeDoesNotWaitForBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.heavy = 1
		r.settings(policy.Push, 1)
		r.follow(author, 100_001)
		r.follow(author+1, 1_001)
		var mu sync.Mutex
		var order []feed.PostID // of chunks as they are delivered
		delivered := func() []feed.PostID {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(order)
		}
		proceed := make(chan struct{})
		hook := func(d []timeline.Delivery) error {
			mu.Lock()
			order = append(order, d[0].Post)
			mu.Unlock()
			<-proceed
			return nil
		}
		r.timelines.hook.Store(&hook)
		f, _ := r.start()
		r.post(author)
		f.Wake()
		synctest.Wait() // every partition has a chunk
		if n := len(delivered()); n != 1 {
			t.Errorf("%d chunks of bulk are in work", n)
		}
		large := r.post(author + 1)
		f.Wake()
		synctest.Wait()
		if !slices.Contains(delivered(), large) {
			t.Error("the large post waits for bulk")
		}
		close(proceed)
	})
}

// F7: while the log is away, its lanes are not a number, neither empty nor as they
// were, and the outbox counts what piles up.
func TestBacklogWhileTheLogIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	metrics := prometheus.NewRegistry()
	r.registerer = metrics
	r.followers(author, 1)
	lanes := func() map[string]float64 {
		families, err := metrics.Gather()
		must(t, err)
		backlog := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "skein_lane_backlog" {
					backlog[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
				}
			}
		}
		return backlog
	}
	f, _ := r.start()
	r.log.down.Store(true)
	r.log.mute.Store(true)
	r.post(author)
	r.post(author)
	f.Wake()
	r.eventually("two posts wait in the outbox, and nobody knows what the lanes hold", func() bool {
		l := lanes()
		return l["outbox"] == 2 && math.IsNaN(l["small"]) && math.IsNaN(l["large"]) && math.IsNaN(l["bulk"]) && math.IsNaN(l["parked"])
	})
	r.log.down.Store(false)
	r.log.mute.Store(false)
	f.Wake()
	r.eventually("all lanes are empty again", func() bool {
		for _, records := range lanes() {
			if records != 0 {
				return false
			}
		}
		return true
	})
}

// F7: a post is on its way as soon as the relay is woken; no clock need pass.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		viewers := r.followers(author, 3)
		f, _ := r.start()
		synctest.Wait()
		id := r.post(author)
		synctest.Wait()
		if r.missing(id, viewers) == 0 {
			t.Fatal("it was delivered before anybody woke the relay")
		}
		f.Wake()
		synctest.Wait()
		if n := r.missing(id, viewers); n > 0 {
			t.Errorf("%d viewers wait for the sweep", n)
		}
	})
}

// uncounted counts no followers.
type uncounted struct{ storage.Graph }

func (uncounted) CountFollowers(_ context.Context, authors []feed.UserID) ([]int64, error) {
	return make([]int64, len(authors)), nil
}

// T1: a count only says which way a post goes. However wrong it is, all followers get
// the post, each that of the author whom it follows.
func TestFollowersNobodyCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.settings(policy.Push, 1)
	r.graph = uncounted{r.store}
	want := map[feed.PostID][]feed.UserID{}
	many := r.followers(author, 4_097)
	for _, v := range many[:40] { // authors enough for several in a partition
		_, err := r.store.Follow(t.Context(), feed.Follow{Viewer: v, Author: author + v})
		must(t, err)
		want[r.post(author+v)] = []feed.UserID{v}
	}
	want[r.post(author)] = many
	f, _ := r.start()
	f.Wake()
	for post, viewers := range want {
		r.eventually("all have the post", func() bool { return r.missing(post, viewers) == 0 })
	}
}

// F7: a post that comes alone is relayed at once. Where many came in one round, what
// comes next waits a while, and goes together with what comes meanwhile.
func TestRelayRestsWhileManyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rest = 10 * time.Millisecond
		r := newRig(t)
		f, _ := r.start()
		synctest.Wait()
		post := func(n int) {
			for range n {
				r.post(author)
			}
			f.Wake()
		}
		relayed := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if n := len(r.log.records("posts")); n != want {
				t.Errorf("%d posts are in the log, want %d", n, want)
			}
		}
		post(1)
		relayed(0, 1)
		post(3)
		relayed(0, 4)
		post(4)
		relayed(0, 8)
		post(1)
		relayed(rest-1, 8)
		post(1)
		relayed(1, 10)
		post(1)
		relayed(0, 11)
	})
}
