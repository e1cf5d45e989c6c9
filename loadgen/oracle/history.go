package oracle

import (
	"math"
	"sync"
	"time"

	"skein/feed"
)

// Moment is a time on the caller's own monotonic clock, from any fixed origin.
type Moment = time.Duration

// never is the moment of what has not happened, as far as is known.
const never Moment = math.MaxInt64

// Graph is who followed whom when the history began. Users are dense indices.
type Graph interface {
	Users() int
	ID(user uint32) feed.UserID
	Index(id feed.UserID) (uint32, bool)
	// Following returns the authors whom viewer follows, ascending.
	Following(viewer uint32) []uint32
}

// Config describes a history.
type Config struct {
	Graph Graph
	// Run marks this run's posts in their text, so that they are told from
	// those of other runs. No blanks.
	Run string
	// Seed is named in every example of a violation.
	Seed uint64
	// LagBound: a post acknowledged longer than this before a scroll began may
	// not be missing from it.
	LagBound time.Duration
}

// History is everything that is known to have happened, and what the scrolls
// judged so far have shown. It is safe for concurrent use.
type History struct {
	cfg   Config
	tally tally

	mu struct {
		sync.RWMutex
		posts    []record          // by Number
		byAuthor [][]Number        // ascending
		edges    map[uint32][]edge // by viewer: those that differ from the graph, or did
		foreign  feed.PostID       // ids up to here may be older than the history
	}
}

// Number names a post of this history in the order in which they were sent.
type Number uint32

// record is one post. Its moments are never where nothing is known.
type record struct {
	author  uint32
	refused bool
	acked   bool        // its call returned, so that its author sees it at once
	id      feed.PostID // 0 while unknown
	exists  Moment      // from here on it is known to exist
	doomed  Moment      // from here on it may be deleted: the delete was sent
	gone    Moment      // from here on it is known to be deleted
}

// New returns an empty history.
func New(cfg Config) *History {
	h := &History{cfg: cfg}
	h.mu.byAuthor = make([][]Number, cfg.Graph.Users())
	h.mu.edges = make(map[uint32][]edge)
	return h
}

// Foreign says that a post with this id was there before the history began.
// Posts with ids up to the highest such id are nobody's business, unless they
// bear the mark of this run.
func (h *History) Foreign(id feed.PostID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.foreign = max(h.mu.foreign, id)
}

// PostSent announces a post and returns its number and what it has to say.
func (h *History) PostSent(author uint32) (n Number, text string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = Number(len(h.mu.posts))
	h.mu.posts = append(h.mu.posts, record{author: author, exists: never, doomed: never, gone: never})
	h.mu.byAuthor[author] = append(h.mu.byAuthor[author], n)
	return n, h.text(n, author), payloadOf(n)
}

// PostAcked says that the call returned the post with this id.
func (h *History) PostAcked(n Number, id feed.PostID, at Moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.mu.posts[n]
	if r.id != 0 && r.id != id {
		h.tally.violate(T2, "seed %d: %s was shown as post %d and acknowledged as post %d",
			h.cfg.Seed, h.name(n, r.author), r.id, id)
		return
	}
	r.id, r.exists, r.acked = id, min(r.exists, at), true
}

// PostRefused says that the call failed in a way that excludes that it
// happened.
func (h *History) PostRefused(n Number) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.posts[n].refused = true
}

// DeleteSent announces the delete of a post and returns its id. ok is false,
// and nothing may be sent, unless the post is known to exist and no delete of
// it was announced.
func (h *History) DeleteSent(n Number, at Moment) (id feed.PostID, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.mu.posts[n]
	if r.exists == never || r.doomed != never {
		return 0, false
	}
	r.doomed = at
	return r.id, true
}

// DeleteAcked says that the delete returned.
func (h *History) DeleteAcked(n Number, at Moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.posts[n].gone = min(h.mu.posts[n].gone, at)
}

// DeleteRefused says that the delete certainly did not happen.
func (h *History) DeleteRefused(n Number) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.posts[n].doomed = never
}

// Posts returns how many posts were announced: their numbers lie below.
func (h *History) Posts() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.mu.posts)
}

// Author returns the author of a post.
func (h *History) Author(n Number) uint32 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.mu.posts[n].author
}

// Owes reports whether viewer's timeline must come to show a post: it is known
// to exist, no delete of it was sent, and viewer is known to follow its author.
func (h *History) Owes(viewer uint32, n Number) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.mu.posts[n]
	return r.exists != never && r.doomed == never && h.follows(viewer, r.author, never) == yes
}
