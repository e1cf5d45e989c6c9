package timelinetest

import (
	"slices"

	"skein/feed"
	"skein/timeline"
)

// read reads a whole timeline.
func (p probe) read(v feed.UserID) timeline.Page {
	p.Helper()
	return p.readPage(timeline.Query{Viewer: v, Before: feed.MaxPostID, Limit: all, Life: life})
}

func (p probe) readPage(q timeline.Query) timeline.Page {
	p.Helper()
	page, err := p.store.Read(p.ctx, q)
	if err != nil {
		p.Fatalf("Read(%+v): %v", q, err)
	}
	if page.State != timeline.Live {
		if len(page.Entries) > 0 {
			p.Fatalf("Read(%+v) shows %d entries of a timeline that is not live", q, len(page.Entries))
		}
		return page
	}
	if len(page.Entries) > max(q.Limit, 0) {
		p.Fatalf("Read(%+v) returned %d entries", q, len(page.Entries))
	}
	above := q.Before
	for _, e := range page.Entries {
		if e.ID() >= above || e.ID() <= page.Bottom {
			p.Fatalf("Read(%+v): %v is out of order, above Before, or below the bottom %d",
				q, p.numbers(page.Entries), p.number(page.Bottom))
		}
		above = e.ID()
	}
	return page
}

// shows fails unless v's timeline is live with just posts n, newest first, and
// complete above post bottom.
func (p probe) shows(v feed.UserID, bottom int, n ...int) {
	p.Helper()
	page := p.read(v)
	if page.State != timeline.Live || page.Bottom != p.post(bottom) || !slices.Equal(p.numbers(page.Entries), n) {
		p.Fatalf("timeline of %d: state %d, posts %v above %d; want live, %v above %d",
			v, page.State, p.numbers(page.Entries), p.number(page.Bottom), n, bottom)
	}
}

// isIn fails unless v's timeline is in a state.
func (p probe) isIn(v feed.UserID, want timeline.State) {
	p.Helper()
	if page := p.read(v); page.State != want {
		p.Fatalf("timeline of %d: state %d, want %d", v, page.State, want)
	}
}

// isComplete fails unless v's timeline holds every post from 1 to newest, above
// the bottom 0.
func (p probe) isComplete(v feed.UserID, newest int) {
	p.Helper()
	want := make([]int, newest)
	for i := range want {
		want[i] = newest - i
	}
	p.shows(v, 0, want...)
}

// isCapped fails unless v's timeline, which got every post up to newest, holds
// the newest limit, at most a quarter more, and has its bottom right below.
func (p probe) isCapped(v feed.UserID, limit, newest int) {
	p.Helper()
	page := p.read(v)
	n := len(page.Entries)
	if n < limit || n > limit+(limit+3)/4 {
		p.Fatalf("a timeline capped at %d holds %d", limit, n)
	}
	for i, got := range p.numbers(page.Entries) {
		if got != newest-i {
			p.Fatalf("entries %v: want every post from %d down", p.numbers(page.Entries), newest)
		}
	}
	if want := p.post(newest - n); page.Bottom != want {
		p.Fatalf("bottom %d, want the highest dropped, %d", p.number(page.Bottom), p.number(want))
	}
}
