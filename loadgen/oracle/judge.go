package oracle

import (
	"fmt"

	"skein/feed"
)

// deep is how many entries a stored timeline holds; what lies beyond it in a
// scroll came by another way, and T6 counts it apart.
const deep = 800

// Verdict is what one scroll came to.
type Verdict struct {
	// Pairs is how many posts had to be there and were, Pushed how many of
	// them a worker had delivered.
	Pairs, Pushed int64
	Violations    int
}

// Judge holds a scroll against the history, counts it, and learns from it. A
// scroll that was broken off is judged as far as it goes.
func (h *History) Judge(s *Scroll) Verdict {
	if len(s.Pages) == 0 {
		return Verdict{}
	}
	j := &judge{h: h, s: s, shown: make(map[Number]place)}
	j.lessons.ended = s.end()
	h.mu.RLock()
	j.pages()
	j.items()
	j.eachAuthor(j.author)
	j.first()
	h.mu.RUnlock()
	h.tally.add(&j.tried)
	h.learn(s.Viewer, &j.lessons)
	return j.verdict
}

// judge is the judging of one scroll. It reads the history under its lock.
type judge struct {
	h *History
	s *Scroll

	shown   map[Number]place
	tried   [clauses]counts
	oldest  owed // the oldest post that had to be there
	verdict Verdict
	lessons lessons
}

// place is where a scroll shows a post.
type place struct {
	rank   int
	source Source
}

// owed is a post that had to be there.
type owed struct {
	any   bool
	id    feed.PostID
	shown bool
	place place
}

func (j *judge) violate(c Clause, format string, args ...any) {
	j.verdict.Violations++
	j.h.tally.violate(c, "seed %d, viewer %d: %s", j.h.cfg.Seed, j.h.cfg.Graph.ID(j.s.Viewer), fmt.Sprintf(format, args...))
}

// pages checks T5.
func (j *judge) pages() {
	for _, p := range j.s.Pages {
		if len(p.Items) > p.Asked {
			j.violate(T5, "%d posts on a page of %d, token %q", len(p.Items), p.Asked, p.Token)
		}
		if p.Next != "" {
			j.tried[T5].tried++
		}
	}
	if j.s.stuck != "" {
		last := j.s.Pages[len(j.s.Pages)-1]
		j.violate(T5, "no progress: %s; token %q", j.s.stuck, last.Token)
	}
}

// items checks what is shown: T2, T3, and that it may be shown at all.
func (j *judge) items() {
	rank, prev := 0, feed.MaxPostID
	for i := range j.s.Pages {
		p := &j.s.Pages[i]
		for _, it := range p.Items {
			n, fault, foreign := j.h.identify(it)
			switch {
			case foreign:
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
			j.tried[T3].shown(it.Source)
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
	switch j.h.follows(j.s.Viewer, r.author) {
	case no:
		wrong(T4, ", whose author is not followed")
	case maybeYes:
		j.lessons.followed = append(j.lessons.followed, r.author)
	}
	return false
}

// eachAuthor calls do for the viewer, and for everyone whom the viewer follows,
// followed, or may follow.
func (j *judge) eachAuthor(do func(author uint32, follows state, acted bool)) {
	viewer := j.s.Viewer
	do(viewer, yes, true)
	edges := j.h.mu.edges[viewer]
	for _, e := range edges {
		do(e.author, e.state, true)
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
		return
	}
	asked, found := 0, 0
	for _, n := range j.h.mu.byAuthor[author] {
		r := &j.h.mu.posts[n]
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
	return own || j.late(r)
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
	if j.s.complete && (j.s.last == 0 || r.id < j.s.last) {
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
		j.tried[T6].tried++
	case o.place.rank < deep:
		j.tried[T6].shown(o.place.source)
	}
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
