package timelinetest

import (
	"slices"
	"testing"

	"skein/feed"
	"skein/timeline"
)

var readingCases = []testCase{
	{name: "T1/Floor", run: floor},
	{name: "T2/PagesTile", run: pagesTile},
	{name: "T3/PagesStayValid", run: pagesStayValid},
	{name: "T1/PagesAreOwned", run: pagesAreOwned},
}

// floor: what a page says of how far it reaches.
func floor(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.finish(1, p.create(1), 10, 50, 40, 30, 20)
	for _, c := range []struct {
		before, limit int
		posts, floor  int // how many posts, and the number of the floor
		end           bool
	}{
		{before: 60, limit: 2, posts: 2, floor: 40},
		{before: 60, limit: 3, posts: 3, floor: 30},
		{before: 60, limit: 4, posts: 4, end: true},
		{before: 60, limit: 9, posts: 4, end: true},
		{before: 50, limit: 1, posts: 1, floor: 40},
		{before: 45, limit: 1, posts: 1, floor: 40},
		{before: 21, limit: 1, posts: 1, end: true},
		{before: 20, limit: 1, posts: 0, end: true},
		{before: 10, limit: 1, posts: 0, end: true},
		{before: 1, limit: 5, posts: 0, end: true},
	} {
		page := p.readPage(timeline.Query{Viewer: 1, Before: p.post(c.before), Limit: c.limit, Life: life})
		want := p.post(c.floor)
		if c.end {
			want = page.Bottom + 1
		}
		if len(page.Entries) != c.posts || page.Floor != want {
			t.Errorf("%d below post %d: %v down to %d; want %d entries down to %d",
				c.limit, c.before, p.numbers(page.Entries), page.Floor, c.posts, want)
		}
	}
	// A page without entries covers nothing that the timeline holds.
	page := p.readPage(timeline.Query{Viewer: 1, Before: p.post(60), Limit: 0, Life: life})
	if page.Floor <= p.post(50) {
		t.Errorf("a page of none says that it has all from %d on", p.number(page.Floor))
	}
}

// pagesTile: a scroll with pages of any size finds every entry once.
func pagesTile(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.live(1)
	const posts = 60
	for n := 1; n <= posts; n++ {
		p.deliver(n, 1)
	}
	for size := 1; size <= posts+1; size++ {
		before, next := feed.MaxPostID, posts
		for {
			page := p.readPage(timeline.Query{Viewer: 1, Before: before, Limit: size, Life: life})
			for _, n := range p.numbers(page.Entries) {
				if n != next {
					t.Fatalf("pages of %d: post %d where %d was due", size, n, next)
				}
				next--
			}
			if page.Floor == page.Bottom+1 {
				break
			}
			if len(page.Entries) != size {
				t.Fatalf("pages of %d: a page of %d is not the last", size, len(page.Entries))
			}
			before = page.Floor
		}
		if next != 0 {
			t.Fatalf("pages of %d: ended above post %d", size, next)
		}
	}
}

func pagesStayValid(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.finish(1, p.create(1), 0, 8, 6, 4, 2)
	first := p.readPage(timeline.Query{Viewer: 1, Before: feed.MaxPostID, Limit: 2, Life: life})
	p.deliver(9, 1)
	p.deliver(5, 1)
	second := p.readPage(timeline.Query{Viewer: 1, Before: first.Floor, Limit: 2, Life: life})
	if got := p.numbers(second.Entries); len(got) != 2 || got[0] != 5 || got[1] != 4 {
		t.Fatalf("after a page down to 6, with 9 and 5 arrived since: %v, want [5 4]", got)
	}
}

// pagesAreOwned: neither side writes into the other's memory.
func pagesAreOwned(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	scan := p.rebuilt(6, 4)
	token := p.create(1)
	p.store.Finish(p.ctx, 1, token, scan, p.post(0), 1)
	folded := p.rebuilt(2, 5, 1)
	p.store.Fold(p.ctx, 1, token, 1, 2, folded)
	if !slices.Equal(p.numbers(scan), []int{6, 4}) || !slices.Equal(p.numbers(folded), []int{2, 5, 1}) {
		t.Fatalf("the caller's entries became %v and %v", p.numbers(scan), p.numbers(folded))
	}
	viewers := []feed.UserID{1}
	p.deliver(7, viewers...)
	page := p.read(1)
	for _, s := range [][]timeline.Entry{scan, folded, page.Entries} {
		clear(s)
	}
	p.deliver(3, 1)
	p.shows(1, 0, 7, 6, 5, 4, 3, 2, 1)
}
