package oracle

import (
	"fmt"

	"skein/feed"
)

// deep is how many entries a stored timeline holds; what lies beyond it in a
// scroll came by another way, and T6 counts it apart.
const deep = 800

// owed is a post that had to be there.
type owed struct {
	any   bool
	id    feed.PostID
	shown bool
	place place
}

// eachAuthor calls do for the viewer, and for everyone whom the viewer follows,
// followed, or may follow.
func (j *judge) eachAuthor(do func(author uint32, follows state, acted bool)) {
	viewer := j.s.Viewer
	do(viewer, yes, true)
	edges := j.h.mu.edges[viewer]
	for _, e := range edges {
		do(e.author, e.at(j.s.begin()), true)
	}
next:
	for _, a := range j.h.cfg.Graph.Following(viewer) {
		for _, e := range edges {
			if e.author == a {
				continue next
			}
		}
		do(a, yes, false)
	}
}

// author checks that everything of one author that must be there is there.
// acted says that it depends on an act of the viewer, so that T4 is tried too.
func (j *judge) author(author uint32, follows state, acted bool) {
	if follows == maybeYes {
		j.hidden += len(j.h.mu.byAuthor[author])
		return
	}
	asked, found := 0, 0
	for _, n := range j.h.mu.byAuthor[author] {
		r := &j.h.mu.posts[n]
		if follows != yes || r.doomed <= j.s.end() {
			j.hidden++
		}
		if !j.due(r, author == j.s.Viewer) {
			continue
		}
		at, shown := j.shown[n]
		switch {
		case r.gone <= j.s.begin(), follows == no:
			j.tried[T4].tried++ // it must not be there; item has seen to it
		case r.doomed <= j.s.end():
			if !shown && follows == yes && r.gone == never {
				j.lessons.gone = append(j.lessons.gone, n)
			}
		case follows == maybeNo:
			asked++
			if shown {
				found++
			}
		case shown:
			j.present(r, at, acted)
		default:
			j.missing(n, r, acted)
		}
	}
	if follows == maybeNo && asked > 0 && found == 0 && j.s.complete {
		j.lessons.unfollowed = append(j.lessons.unfollowed, author)
	}
}

// due reports whether a post lies in the part that was scrolled and has existed
// for long enough that the scroll may not lack it.
func (j *judge) due(r *record, own bool) bool {
	if r.exists > j.s.begin() {
		return false
	}
	if !j.s.complete && (j.s.last == 0 || r.id <= j.s.last) {
		return false
	}
	return own && r.acked || j.late(r)
}

// late reports whether the lag bound of a post had passed.
func (j *judge) late(r *record) bool {
	return r.exists <= j.s.begin()-j.h.cfg.LagBound
}

func (j *judge) present(r *record, at place, acted bool) {
	j.verdict.Pairs++
	if at.source == Pushed {
		j.verdict.Pushed++
	}
	if j.late(r) {
		j.tried[T1].shown(at.source)
	}
	if acted {
		j.tried[T4].shown(at.source)
	}
	if at.rank >= deep {
		j.tried[T6].shown(at.source)
	}
	if !j.oldest.any || r.id < j.oldest.id {
		j.oldest = owed{any: true, id: r.id, shown: true, place: at}
	}
}

func (j *judge) missing(n Number, r *record, acted bool) {
	begin := j.s.begin()
	what := fmt.Sprintf("post %d (%s) is missing, acknowledged %v before the scroll began; token %q",
		r.id, j.h.name(n, r.author), begin-r.exists, j.tokenAbove(r.id))
	if j.late(r) {
		j.tried[T1].tried++
		j.violate(T1, "%s", what)
	}
	if acted {
		j.tried[T4].tried++
		j.violate(T4, "%s", what)
	}
	if j.endedAbove(r.id) {
		j.tried[T6].tried++
		j.violate(T6, "%s; the scroll ended above it, at post %d", what, j.s.last)
	}
	if !j.oldest.any || r.id < j.oldest.id {
		j.oldest = owed{any: true, id: r.id}
	}
}

// first counts the oldest post of a whole scroll under T6, unless it lies so
// deep that it was counted already.
func (j *judge) first() {
	switch o := j.oldest; {
	case !j.s.complete || !o.any:
	case !o.shown:
		if !j.endedAbove(o.id) { // else it was counted as missing
			j.tried[T6].tried++
		}
	case o.place.rank < deep:
		j.tried[T6].shown(o.place.source)
	}
}

// endedAbove reports whether a whole scroll ended before it got down to id.
func (j *judge) endedAbove(id feed.PostID) bool {
	return j.s.complete && (j.s.last == 0 || id < j.s.last)
}

// tokenAbove is the token of the page on which a post would stand.
func (j *judge) tokenAbove(id feed.PostID) string {
	for _, p := range j.s.Pages {
		if n := len(p.Items); n > 0 && p.Items[n-1].ID < id {
			return p.Token
		}
	}
	return j.s.Pages[len(j.s.Pages)-1].Token
}
