package oracle

import "skein/feed"

// lessons are what a scroll reveals of acts that had no known outcome.
type lessons struct {
	seen       []sighting // posts that were shown: they exist
	gone       []Number   // posts that only their delete can have removed
	followed   []uint32   // authors whose posts were shown: the follow happened
	unfollowed []uint32   // authors none of whose posts were shown: so did the unfollow
	ended      Moment     // when the scroll did
}

// sighting is a post shown before its call returned, if it ever does.
type sighting struct {
	n  Number
	id feed.PostID
	at Moment
}

// learn makes the lessons part of the history. Between judging and learning
// the acts may have been acknowledged, or another scroll have taught the same.
//
// What one read showed of an act that never returned, others need not show at
// once: nothing was promised yet, and some server may hold an older copy. So a
// lesson binds when the lag bound has passed.
func (h *History) learn(viewer uint32, l *lessons) {
	if len(l.seen)+len(l.gone)+len(l.followed)+len(l.unfollowed) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	binds := l.ended + h.cfg.LagBound
	for _, s := range l.seen {
		r := &h.mu.posts[s.n]
		if r.id != 0 && r.id != s.id {
			h.tally.violate(T2, "seed %d: %s is shown as post %d and as post %d",
				h.cfg.Seed, h.name(s.n, r.author), r.id, s.id)
			continue
		}
		r.id, r.exists = s.id, min(r.exists, s.at)
	}
	for _, n := range l.gone {
		h.mu.posts[n].gone = min(h.mu.posts[n].gone, binds)
	}
	for _, a := range l.followed {
		h.learnEdge(viewer, a, maybeYes, yes, binds)
	}
	for _, a := range l.unfollowed {
		h.learnEdge(viewer, a, maybeNo, no, binds)
	}
}

func (h *History) learnEdge(viewer, author uint32, before, now state, binds Moment) {
	if h.follows(viewer, author, never) == before {
		h.setEdge(viewer, edge{author: author, state: now, before: before, from: binds})
	}
}
