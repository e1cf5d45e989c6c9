package oracle

import (
	"slices"
	"testing"
	"time"

	"skein/feed"
)

// tiny is a graph of users 1, 2, …: user 1 (index 0) follows users 2 and 3,
// user 4 follows nobody yet, user 5 posts and nobody follows it.
type tiny struct{}

func (tiny) Users() int                 { return 5 }
func (tiny) ID(user uint32) feed.UserID { return feed.UserID(user) + 1 }
func (tiny) Index(id feed.UserID) (uint32, bool) {
	return uint32(id) - 1, id >= 1 && id <= 5
}

func (tiny) Following(viewer uint32) []uint32 {
	if viewer == 0 {
		return []uint32{1, 2}
	}
	return nil
}

const (
	viewer, friend, other, lonely, stranger uint32 = 0, 1, 2, 3, 4

	lagBound = 5 * time.Second
	// Scrolls begin here; what is acknowledged at long must be shown by then,
	// what is acknowledged at lately need not.
	begin  = 100 * time.Second
	long   = begin - lagBound
	lately = long + 1
)

// world is a history under test, and what a correct server would hold.
type world struct {
	*History
	items  map[Number]Item
	nextID feed.PostID
}

func newWorld() *world {
	return &world{
		History: New(Config{Graph: tiny{}, Run: "r1", Seed: 7, LagBound: lagBound}),
		items:   map[Number]Item{},
		nextID:  1000,
	}
}

// send announces a post. The server has it from now on.
func (w *world) send(author uint32) Number {
	n, text, payload := w.PostSent(author)
	w.nextID += 10
	w.items[n] = Item{ID: w.nextID, Author: tiny{}.ID(author), Text: text, Payload: payload, Source: Pushed}
	return n
}

// post is send, acknowledged at a moment.
func (w *world) post(author uint32, at Moment) Number {
	n := w.send(author)
	w.PostAcked(n, w.items[n].ID, at)
	return n
}

// remove deletes a post, acknowledged at a moment.
func (w *world) remove(t *testing.T, n Number, at Moment) {
	t.Helper()
	if _, ok := w.DeleteSent(n, at-1); !ok {
		t.Fatalf("post %d cannot be deleted", n)
	}
	w.DeleteAcked(n, at)
}

// edge follows or unfollows; acked says whether the call returned.
func (w *world) edge(t *testing.T, viewer, author uint32, follow, acked bool) {
	t.Helper()
	if !w.EdgeSent(viewer, author, follow) {
		t.Fatalf("edge %d → %d cannot become %v", viewer, author, follow)
	}
	if acked {
		w.EdgeAcked(viewer, author, follow)
	}
}

// scroll shows posts in this order, so many a page, as a call that begins at
// begin and takes a second a page.
func (w *world) scroll(viewer uint32, size int, posts ...Number) *Scroll {
	var shown []Item
	for _, n := range posts {
		shown = append(shown, w.items[n])
	}
	return scrollOf(viewer, size, shown)
}

func scrollOf(viewer uint32, size int, shown []Item) *Scroll {
	s := &Scroll{Viewer: viewer}
	at, token := begin, ""
	for page := range slices.Chunk(shown, size) {
		p := Page{Token: token, Next: token + "+", Asked: len(page), Start: at, End: at + time.Second, Items: page}
		at, token = p.End, p.Next
		s.Add(p)
	}
	s.Add(Page{Token: token, Asked: size, Start: at, End: at + time.Second})
	return s
}

// violated names the clauses that the checks say are violated.
func (w *world) violated() string {
	names := ""
	for _, c := range w.Checks() {
		if c.Violations > 0 {
			names += c.Name
		}
	}
	return names
}
