package server_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"skein/feed"
	"skein/feed/server"
	feedv1 "skein/proto/feed/v1"
)

const (
	stackUsers = 6
	// celebrity is the user whom crowd others follow who never read: enough
	// for its posts to travel in chunks.
	celebrity = stackUsers
	crowd     = 1_100
)

// machine is the state machine: a stack, and the brute-force truth beside it.
type machine struct {
	*stack
	posts   []*stackPost // by rising id
	follows map[[2]int64]bool
	sources map[feedv1.Source]int // seen on pages
	events  map[string]int
}

type stackPost struct {
	id, author int64
	request    string
	deleted    bool
}

func newMachine(t tb, entries int) *machine {
	m := &machine{
		stack:   newStack(t, entries),
		follows: map[[2]int64]bool{}, sources: map[feedv1.Source]int{}, events: map[string]int{},
	}
	for id := range int64(stackUsers) {
		_, err := m.CreateUser(m.Context(), &feedv1.CreateUserRequest{Id: id + 1})
		must(m, err)
	}
	edges := make([]feed.Follow, crowd)
	for i := range edges {
		edges[i] = feed.Follow{Viewer: feed.UserID(1000 + i), Author: celebrity}
	}
	_, err := m.store.ImportFollows(m.Context(), edges)
	must(m, err)
	for viewer := int64(1); viewer <= stackUsers; viewer++ {
		for _, step := range []int64{1, 2} {
			m.follow(viewer, (viewer-1+step)%stackUsers+1)
		}
	}
	return m
}

// visible returns what viewer may see, newest first.
func (m *machine) visible(viewer int64) []int64 {
	var ids []int64
	for _, p := range slices.Backward(m.posts) {
		if !p.deleted && (p.author == viewer || m.follows[[2]int64{viewer, p.author}]) {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// user returns what author's own timeline shows, newest first.
func (m *machine) user(author int64) []int64 {
	var ids []int64
	for _, p := range slices.Backward(m.posts) {
		if !p.deleted && p.author == author {
			ids = append(ids, p.id)
		}
	}
	return ids
}

func (m *machine) post(author int64) {
	p := &stackPost{author: author, request: fmt.Sprint("request ", len(m.posts))}
	p.id = m.create(p)
	if len(m.posts) > 0 && p.id <= m.posts[len(m.posts)-1].id {
		m.Fatalf("W4: id %d after %d", p.id, m.posts[len(m.posts)-1].id)
	}
	m.posts = append(m.posts, p)
}

func (m *machine) create(p *stackPost) int64 {
	got, err := m.CreatePost(m.Context(), &feedv1.CreatePostRequest{AuthorId: p.author, Text: "honk", RequestId: p.request})
	must(m, err)
	return got.GetId()
}

func (m *machine) follow(viewer, author int64) {
	_, err := m.Follow(m.Context(), &feedv1.FollowRequest{ViewerId: viewer, AuthorId: author})
	must(m, err)
	m.follows[[2]int64{viewer, author}] = true
}

func (m *machine) unfollow(viewer, author int64) {
	_, err := m.Unfollow(m.Context(), &feedv1.UnfollowRequest{ViewerId: viewer, AuthorId: author})
	must(m, err)
	delete(m.follows, [2]int64{viewer, author})
}

func (m *machine) delete(p *stackPost) {
	_, err := m.DeletePost(m.Context(), &feedv1.DeletePostRequest{Id: p.id, AuthorId: p.author})
	must(m, err)
	p.deleted = true
}

func (m *machine) evict(viewer int64) {
	must(m, m.timelines.Drop(m.Context(), feed.UserID(viewer)))
}

// scrolled is a whole home timeline as it was read.
type scrolled struct {
	viewer   int64
	ids      []int64
	sources  []feedv1.Source
	degraded bool
}

func (m *machine) scroll(viewer int64, size int32) (s scrolled, err error) {
	s.viewer = viewer
	for token, pages := "", 0; pages < 10_000; pages++ {
		page, err := m.GetHomeTimeline(m.Context(), &feedv1.GetHomeTimelineRequest{
			ViewerId: viewer, PageSize: size, PageToken: token, Explain: true,
		})
		if err != nil {
			return s, err
		}
		for i, p := range page.GetPosts() {
			s.ids, s.sources = append(s.ids, p.GetId()), append(s.sources, page.GetSources()[i])
		}
		s.degraded = s.degraded || page.GetDegraded()
		if token = page.GetNextPageToken(); token == "" {
			return s, nil
		}
		if len(page.GetPosts()) < int(size) {
			return s, fmt.Errorf("T5: a page of %d posts, of %d, is not the last", len(page.GetPosts()), size)
		}
	}
	return s, fmt.Errorf("the scroll of %d does not end", viewer)
}

// judge holds a scroll against what the viewer may have seen, and what was owed,
// both newest first.
func (s scrolled) judge(may, owed []int64) error {
	for i, id := range s.ids {
		if i > 0 && id >= s.ids[i-1] {
			return fmt.Errorf("T2, T3: viewer %d got %d after %d", s.viewer, id, s.ids[i-1])
		}
		if !has(may, id) {
			return fmt.Errorf("T4: viewer %d got %d (%v), which is not visible: %v", s.viewer, id, s.sources[i], may)
		}
	}
	for _, id := range owed {
		if !has(s.ids, id) {
			return fmt.Errorf("T1: viewer %d misses %d; got\n%v\n%v, owed\n%v", s.viewer, id, s.ids, s.sources, owed)
		}
	}
	return nil
}

// has searches ids that fall.
func has(ids []int64, id int64) bool {
	_, ok := slices.BinarySearchFunc(ids, id, func(a, b int64) int { return cmp.Compare(b, a) })
	return ok
}

// owed returns those of ids that have to be there now: whatever is older than
// the lag bound, and the viewer's own (T4).
func (m *machine) owed(viewer int64, ids []int64) []int64 {
	bound := int64(feed.IDAt(time.Now().Add(-server.DefaultLagBound)))
	own := m.user(viewer)
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return id >= bound && !has(own, id) })
}

// check reads what viewer may see. Once the lag bound has passed since the last
// post, that is all of it, to the last post, whatever is down.
func (m *machine) check(viewer int64, size int32) scrolled {
	m.Helper()
	may := m.visible(viewer)
	owed := m.owed(viewer, may)
	got, err := m.scroll(viewer, size)
	if err == nil {
		err = got.judge(may, owed)
	}
	must(m, err)
	for _, source := range got.sources {
		m.sources[source]++
	}
	if got.degraded {
		m.events["degraded"]++
	}
	page, err := m.GetUserTimeline(m.Context(), &feedv1.GetUserTimelineRequest{AuthorId: viewer, PageSize: 200})
	must(m, err)
	if want := m.user(viewer); !slices.EqualFunc(page.GetPosts(), want, func(p *feedv1.Post, id int64) bool { return p.GetId() == id }) {
		m.Fatalf("the posts of %d are %v, want %v", viewer, page.GetPosts(), want)
	}
	return got
}

// settle heals everything and waits until nothing is under way any more. Then
// all that is visible is shown, and delivered: nothing is pulled for being late.
func (m *machine) settle() {
	m.Helper()
	m.faults.log.heal()
	m.faults.timelines.heal()
	time.Sleep(15 * time.Second) // longer than the longest pause between attempts
	for viewer := int64(1); viewer <= stackUsers; viewer++ {
		got := m.check(viewer, 50)
		if got.degraded || slices.Contains(got.sources, feedv1.Source_SOURCE_ABOVE_TOP) {
			m.Fatalf("all is well, yet viewer %d is served as if it were not (degraded %t): %v", viewer, got.degraded, got.sources)
		}
	}
	if len(m.posts) == 0 {
		return
	}
	top, _ := m.fanout.Progress(0)
	if last := m.posts[len(m.posts)-1].id; int64(top) <= last {
		m.Fatalf("the top stays at %d, below post %d", top, last)
	}
	if waiting, err := m.store.CountEvents(m.Context()); err != nil || waiting != 0 {
		m.Fatalf("%d events are left in the outbox (%v)", waiting, err)
	}
}
