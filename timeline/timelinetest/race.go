package timelinetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"skein/feed"
	"skein/timeline"
)

// rebuildsRace is T1 under everything at once: a post is stored, then delivered;
// timelines vanish and are rebuilt from what is stored. At every moment each
// timeline that is live holds every post above its bottom whose delivery has
// returned.
func rebuildsRace(t *testing.T, e Engine) {
	const viewers, posters, builders, posts = 4, 4, 4, 8000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := &race{probe: open(t, e, Options{Cap: 40})}
	for v := range feed.UserID(viewers) {
		r.viewers = append(r.viewers, v+1)
	}
	posted := make(chan struct{})
	var building sync.WaitGroup
	for i := range builders {
		building.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for {
				if err := r.round(random); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-posted:
					return
				default:
				}
			}
		})
	}
	together(posters, func(int) {
		for range posts / posters {
			if err := r.publish(); err != nil {
				t.Error(err)
			}
		}
	})
	close(posted)
	building.Wait()
	for _, v := range r.viewers {
		if err := r.check(v); err != nil {
			t.Error(err)
		}
	}
	if r.mu.checks == 0 {
		t.Error("no timeline was live while it was looked at")
	}
}

// race is a store of timelines and the storage that they are built from.
type race struct {
	probe
	viewers []feed.UserID
	mu      struct {
		sync.Mutex
		stored    int   // posts 1 to stored are
		delivered []int // those whose Deliver has returned
		checks    int   // live timelines looked at
	}
}

// publish stores the next post, then delivers it.
func (r *race) publish() error {
	r.mu.Lock()
	r.mu.stored++
	n := r.mu.stored
	r.mu.Unlock()
	_, err := r.store.Deliver(r.ctx, []timeline.Delivery{{Post: r.post(n), Viewers: r.viewers}})
	r.mu.Lock()
	r.mu.delivered = append(r.mu.delivered, n)
	r.mu.Unlock()
	return err
}

// round looks at a timeline, then rebuilds it: over what there is, or dropped
// before.
func (r *race) round(random *rand.Rand) error {
	v := r.viewers[random.IntN(len(r.viewers))]
	if err := r.check(v); err != nil {
		return err
	}
	if random.IntN(3) == 0 {
		if err := r.store.Drop(r.ctx, v); err != nil {
			return err
		}
	}
	token, ok, err := r.store.Create(r.ctx, v, life)
	if err != nil || !ok {
		return err
	}
	scan, bottom := r.scan(30)
	_, err = r.store.Finish(r.ctx, v, token, r.rebuilt(scan...), r.post(bottom), 1)
	return err
}

// scan lists the newest posts stored, newest first, and the one that they are
// all above.
func (r *race) scan(limit int) (posts []int, bottom int) {
	r.mu.Lock()
	newest := r.mu.stored
	r.mu.Unlock()
	bottom = max(newest-limit, 0)
	for n := newest; n > bottom; n-- {
		posts = append(posts, n)
	}
	return posts, bottom
}

// check reports a post that v's timeline should hold and does not. It looks at
// the last delivered, since those before are soon below the bottom.
func (r *race) check(v feed.UserID) error {
	r.mu.Lock()
	delivered := slices.Clone(r.mu.delivered[max(len(r.mu.delivered)-80, 0):])
	r.mu.Unlock()
	page, err := r.store.Read(r.ctx, timeline.Query{Viewer: v, Before: feed.MaxPostID, Limit: all, Life: life})
	if err != nil || page.State != timeline.Live {
		return err
	}
	shown := r.numbers(page.Entries)
	for _, n := range delivered {
		if r.post(n) > page.Bottom && !slices.Contains(shown, n) {
			return fmt.Errorf("timeline of %d lacks post %d: %v above %d", v, n, shown, r.number(page.Bottom))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.checks++
	return nil
}
