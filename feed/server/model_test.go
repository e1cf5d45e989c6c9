package server_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/feed/policy"
)

// model is the brute-force truth: all posts, all follows.
type model struct {
	*rig
	posts   []modelPost // by rising id
	follows map[[2]int64]bool
	waiting []fanOut
	history map[int64]policy.History
}

type modelPost struct {
	id, author int64
	deleted    bool
}

// fanOut is a delivery that a worker has still to do; once listed it holds the
// followers of that moment, as a chunk in flight does.
type fanOut struct {
	id, author int64
	listed     bool
	viewers    []feed.UserID
}

const modelUsers = 5

func (m *model) home(viewer int64) []int64 {
	var ids []int64
	for _, p := range m.posts {
		if !p.deleted && (p.author == viewer || m.follows[[2]int64{viewer, p.author}]) {
			ids = append(ids, p.id)
		}
	}
	slices.Reverse(ids)
	return ids
}

func (m *model) act(t *rapid.T) {
	user := rapid.Int64Range(1, modelUsers)
	a, b := user.Draw(t, "a"), user.Draw(t, "b")
	m.clock.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
	switch rapid.SampledFrom([]string{
		"post", "post", "post", "delete", "follow", "follow", "unfollow", "list", "list", "deliver", "deliver", "deliver",
		"redeliver", "evict", "tier", "read", "read", "build",
	}).Draw(t, "act") {
	case "post":
		id := m.post(a)
		m.posts = append(m.posts, modelPost{id: id, author: a})
		if m.history[a].At(feed.PostID(id)) == policy.Quiet {
			m.waiting = append(m.waiting, fanOut{id: id, author: a})
		}
	case "delete":
		if len(m.posts) > 0 {
			p := &m.posts[rapid.IntRange(0, len(m.posts)-1).Draw(t, "post")]
			if !p.deleted {
				m.delete(p.author, p.id)
				p.deleted = true
			}
		}
	case "follow":
		if a != b {
			m.follow(a, b)
			m.follows[[2]int64{a, b}] = true
		}
	case "unfollow":
		if a != b {
			m.unfollow(a, b)
			m.follows[[2]int64{a, b}] = false
		}
	case "list":
		if i := m.pick(t); i >= 0 && !m.waiting[i].listed {
			m.waiting[i].viewers, m.waiting[i].listed = m.list(m.waiting[i].author), true
		}
	case "deliver", "redeliver":
		i := m.pick(t)
		if i < 0 || !m.waiting[i].listed {
			return
		}
		m.deliver(m.waiting[i].id, m.waiting[i].viewers)
		if rapid.Bool().Draw(t, "done") {
			m.waiting = slices.Delete(m.waiting, i, i+1)
		}
	case "evict":
		must(m, m.timelines.Drop(m.Context(), feed.UserID(a)))
	case "tier":
		next := m.history[a].Add(policy.Change{
			From: feed.IDAt(m.clock.Now().Add(policy.Lead + time.Second)), Tier: 1 - m.history[a].Latest(),
		})
		must(m, m.store.ChangeTier(m.Context(), feed.UserID(a), m.history[a], next))
		m.history[a] = next
	case "read":
		m.check(t, a)
	case "build":
		// Something happens between the scan of a rebuild, or of a page, and
		// what follows it.
		must(m, m.timelines.Drop(m.Context(), feed.UserID(a)))
		m.rig.posts.once(func() {
			if a != b {
				m.follow(a, b)
				m.follows[[2]int64{a, b}] = true
			}
			id := m.post(b)
			m.posts = append(m.posts, modelPost{id: id, author: b})
			if m.history[b].At(feed.PostID(id)) == policy.Quiet {
				m.deliver(id, m.list(b))
			}
		})
		m.page(a, 3, "")
		m.rig.posts.afterNewest.Store(nil)
	}
}

func (m *model) pick(t *rapid.T) int {
	if len(m.waiting) == 0 {
		return -1
	}
	return rapid.IntRange(0, len(m.waiting)-1).Draw(t, "work")
}

// check scrolls the viewer's home timeline, long enough after the last post for
// the lag bound to have passed, and compares every post.
func (m *model) check(t *rapid.T, viewer int64) {
	m.clock.Add(4 * time.Second)
	top := int64(feed.MaxPostID)
	for _, w := range m.waiting {
		top = min(top, w.id)
	}
	m.fanout.top.Store(min(top, int64(feed.IDAt(m.clock.Now().Add(-2*time.Second)))))
	size := rapid.SampledFrom([]int32{1, 2, 3, 10, 50}).Draw(t, "size")
	got, sources := m.scroll(viewer, size)
	if want := m.home(viewer); !slices.Equal(got, want) {
		t.Fatalf("the home timeline of %d, in pages of %d, is\n%v\n%v, want\n%v", viewer, size, got, sources, want)
	}
}

// T1 to T7 against a brute-force model: whatever is posted, deleted, followed,
// unfollowed, delivered late, twice, never yet, evicted, rebuilt or moved from push
// to pull, in any order, every scroll shows exactly what is visible, once each,
// newest first.
func TestHomeTimelineAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			rig:     newRig(t, rigOptions{cap: rapid.SampledFrom([]int{2, 5, 800}).Draw(t, "cap")}),
			follows: map[[2]int64]bool{},
			history: map[int64]policy.History{},
		}
		m.users(modelUsers)
		for range rapid.IntRange(10, 80).Draw(t, "steps") {
			m.act(t)
		}
		for viewer := int64(1); viewer <= modelUsers; viewer++ {
			m.check(t, viewer)
		}
	})
}
