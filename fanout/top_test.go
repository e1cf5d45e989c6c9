package fanout_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/feed/policy"
	"skein/timeline"
)

// acked is a post whose CreatePost returned, and where it has to be.
type acked struct {
	id      feed.PostID
	viewers []feed.UserID
}

// I6, the upper end of coverage: whatever fails, dies and starts again meanwhile, a
// top that is read is below every post that some follower's timeline still lacks.
func TestTopNeverRunsAhead(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := newRig(t)
	r.settings(policy.Push, 1)
	many := r.followers(author, 3_000)
	few := r.followers(author+1, 20)
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	flaky := func([]timeline.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		if rng.IntN(4) == 0 {
			return feed.Unavailable("deliver", errors.New("flaky"))
		}
		return nil
	}
	r.timelines.hook.Store(&flaky)

	var posts struct {
		sync.Mutex
		list []acked
	}
	var stop atomic.Bool
	var poster sync.WaitGroup
	poster.Go(func() {
		for n := 0; !stop.Load(); n++ {
			p := acked{viewers: few}
			if n%10 == 0 {
				p = acked{id: r.post(author), viewers: many}
			} else {
				p.id = r.post(author + 1)
			}
			posts.Lock()
			posts.list = append(posts.list, p)
			posts.Unlock()
			<-time.After(5 * time.Millisecond) // the rate of the load
		}
	})
	checked := 0
	for range 6 {
		f, kill := r.start()
		for lives := time.Now().Add(700 * time.Millisecond); time.Now().Before(lives); {
			f.Wake()
			top := topOf(f, 0)
			posts.Lock()
			list := posts.list
			posts.Unlock()
			for len(list) > checked && list[checked].id < top {
				p := list[checked]
				if n := r.missing(p.id, p.viewers); n > 0 {
					t.Fatalf("the top is %d, post %d is missing from %d of %d timelines", top, p.id, n, len(p.viewers))
				}
				checked++
			}
		}
		kill()
	}
	stop.Store(true)
	poster.Wait()
	if checked == 0 {
		t.Error("the top passed no post at all")
	}
	t.Logf("%d of %d posts were passed, and all in place", checked, len(posts.list))
	for _, topic := range []string{"posts", "chunks-large", "parked"} {
		r.checkLows(topic)
	}
}

// checkLows holds every record that was appended to its promise: nothing behind it
// in its partition is older than its Low.
func (r *rig) checkLows(topic string) {
	r.Helper()
	records := r.log.records(topic)
	least := map[int]feed.PostID{}
	for i := len(records) - 1; i >= 0; i-- {
		rec := records[i]
		p := r.log.PartitionOf(topic, rec.Key)
		if behind, ok := least[p]; !ok || rec.Post < behind {
			least[p] = rec.Post
		}
		if rec.Low > least[p] {
			r.Fatalf("record %d of %s promises nothing below %d, and post %d lies there or behind", i, topic, rec.Low, least[p])
		}
	}
}

// A replay lists all followers of an author, page after page.
func TestReplayReachesEveryFollower(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 9_000)
	f, _ := r.start()
	id := r.post(author)
	f.Wake()
	r.eventually("it is delivered", func() bool { return r.missing(id, viewers) == 0 })
	for _, v := range viewers {
		r.build(v) // lost, and built by somebody who did not see the post
	}
	must(t, r.log.Append(t.Context(), "posts", eventlog.Record{Key: []byte("x"), Value: []byte("\xff"), Post: id}))
	r.eventually("it is set aside", func() bool { return len(asideOf(f)) == 1 })
	if n, err := f.Replay(t.Context()); n != 1 || err != nil {
		t.Fatalf("replayed %d records, %v", n, err)
	}
	if n := r.missing(id, viewers); n > 0 {
		t.Errorf("after the replay the post is missing from %d timelines", n)
	}
}
