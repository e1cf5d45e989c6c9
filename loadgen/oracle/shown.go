package oracle

import (
	"fmt"

	"skein/feed"
)

// items checks what is shown: T2, T3, and that it may be shown at all.
func (j *judge) items() {
	rank, prev := 0, feed.MaxPostID
	for i := range j.s.Pages {
		p := &j.s.Pages[i]
		for _, it := range p.Items {
			n, fault, foreign := j.h.identify(it)
			switch {
			case foreign: // only its place matters
			case fault != "":
				j.violate(T1, "post %d by %d is shown, but %s; token %q", it.ID, it.Author, fault, p.Token)
			default:
				if j.item(n, it, p, rank) {
					prev = it.ID + 1 // a repeat breaks T2, not T3 as well
				}
			}
			if it.ID >= prev {
				j.violate(T3, "post %d is shown below post %d; token %q", it.ID, prev, p.Token)
			}
			if !foreign {
				j.tried[T3].shown(it.Source)
			}
			prev = it.ID
			rank++
		}
	}
}

// item checks one post of this run, and reports whether it is a repeat.
func (j *judge) item(n Number, it Item, p *Page, rank int) (repeat bool) {
	r := &j.h.mu.posts[n]
	wrong := func(c Clause, what string) {
		j.violate(c, "post %d (%s) is shown%s; token %q", it.ID, j.h.name(n, r.author), what, p.Token)
	}
	j.tried[T2].shown(it.Source)
	if _, repeat = j.shown[n]; repeat {
		wrong(T2, " twice")
		return true
	}
	j.shown[n] = place{rank, it.Source}
	if r.gone <= p.Start {
		wrong(T4, fmt.Sprintf(" %v after it was deleted", p.Start-r.gone))
	}
	if r.exists == never {
		j.lessons.seen = append(j.lessons.seen, sighting{n, it.ID, p.End})
	}
	if r.author == j.s.Viewer {
		return false
	}
	switch j.h.follows(j.s.Viewer, r.author, j.s.begin()) {
	case no:
		wrong(T4, ", whose author is not followed")
	case maybeYes:
		j.lessons.followed = append(j.lessons.followed, r.author)
	}
	return false
}
