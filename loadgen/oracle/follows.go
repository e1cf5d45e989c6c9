package oracle

import "slices"

// state is whether somebody follows somebody.
type state uint8

const (
	no state = iota
	yes
	// An act on the edge has no outcome yet, or never got one.
	maybeYes // it was a Follow
	maybeNo  // it was an Unfollow
)

// edge is a follow of which an act was announced.
type edge struct {
	author uint32
	state  state
	// A read showed which state it is; until from it may be found in before.
	before state
	from   Moment
}

// at is the state at a moment.
func (e edge) at(m Moment) state {
	if m < e.from {
		return e.before
	}
	return e.state
}

// Edge is a follow, in indices.
type Edge struct {
	Viewer, Author uint32
	Follows        bool
}

// EdgeSent announces a Follow (follow) or an Unfollow. ok is false, and nothing
// may be sent, while an earlier act on the edge has no known outcome, or if it
// would change nothing.
func (h *History) EdgeSent(viewer, author uint32, follow bool) (ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.follows(viewer, author, never)
	if was > yes || (was == yes) == follow || viewer == author {
		return false
	}
	if follow {
		h.setEdge(viewer, edge{author: author, state: maybeYes})
	} else {
		h.setEdge(viewer, edge{author: author, state: maybeNo})
	}
	return true
}

// EdgeAcked says that the act announced last on the edge returned.
func (h *History) EdgeAcked(viewer, author uint32, follow bool) {
	h.settleEdge(viewer, author, follow)
}

// EdgeRefused says that the act announced last certainly did not happen.
func (h *History) EdgeRefused(viewer, author uint32, follow bool) {
	h.settleEdge(viewer, author, !follow)
}

func (h *History) settleEdge(viewer, author uint32, follows bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if follows {
		h.setEdge(viewer, edge{author: author, state: yes})
	} else {
		h.setEdge(viewer, edge{author: author, state: no})
	}
}

// Changed returns an edge of viewer that now differs from the graph and whose
// state is known.
func (h *History) Changed(viewer uint32) (e Edge, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, e := range h.mu.edges[viewer] {
		if e.state <= yes && (e.state == yes) != h.followedAtFirst(viewer, e.author) {
			return Edge{Viewer: viewer, Author: e.author, Follows: e.state == yes}, true
		}
	}
	return Edge{}, false
}

// AllChanged returns, in no order, every edge that differs from the graph, or may, as
// an act on it has no known outcome: then as if it did.
func (h *History) AllChanged() (all []Edge) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for viewer, edges := range h.mu.edges {
		for _, e := range edges {
			first := h.followedAtFirst(viewer, e.author)
			if e.state > yes || (e.state == yes) != first {
				all = append(all, Edge{Viewer: viewer, Author: e.author, Follows: !first})
			}
		}
	}
	return all
}

// Acted reports whether an act on the edge was announced.
func (h *History) Acted(viewer, author uint32) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.ContainsFunc(h.mu.edges[viewer], func(e edge) bool { return e.author == author })
}

// The rest is called with mu held.

func (h *History) followedAtFirst(viewer, author uint32) bool {
	_, found := slices.BinarySearch(h.cfg.Graph.Following(viewer), author)
	return found
}

// follows is the state of an edge at a moment; never is after all of them.
func (h *History) follows(viewer, author uint32, m Moment) state {
	for _, e := range h.mu.edges[viewer] {
		if e.author == author {
			return e.at(m)
		}
	}
	if h.followedAtFirst(viewer, author) {
		return yes
	}
	return no
}

func (h *History) setEdge(viewer uint32, set edge) {
	edges := h.mu.edges[viewer]
	for i := range edges {
		if edges[i].author == set.author {
			edges[i] = set
			return
		}
	}
	h.mu.edges[viewer] = append(edges, set)
}
