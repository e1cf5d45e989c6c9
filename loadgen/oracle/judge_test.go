package oracle

import (
	"strings"
	"testing"
	"time"
)

// violations are histories, each of which violates exactly the clauses named.
var violations = []struct {
	name, clauses, says string
	scroll              func(t *testing.T, w *world) *Scroll
}{
	{"T1 a gap", "T1", "is missing", func(t *testing.T, w *world) *Scroll {
		a, _, c := w.post(friend, long), w.post(other, long), w.post(friend, long)
		return w.scroll(viewer, 50, c, a)
	}},
	{"T1 a gap across pages", "T1", "is missing", func(t *testing.T, w *world) *Scroll {
		a, _, c := w.post(friend, long), w.post(other, long), w.post(friend, long)
		return w.scroll(viewer, 1, c, a)
	}},
	{"T1 the newest is missing", "T1", "is missing", func(t *testing.T, w *world) *Scroll {
		a, _ := w.post(friend, long), w.post(other, long)
		return w.scroll(viewer, 50, a)
	}},
	{"T1 a post that nobody wrote", "T1", "nobody wrote it", func(t *testing.T, w *world) *Scroll {
		return scrollOf(viewer, 50, []Item{{ID: 77, Author: 2, Text: "hello"}})
	}},
	{"T1 a post with an altered text", "T1", "its text was altered", func(t *testing.T, w *world) *Scroll {
		it := w.items[w.post(friend, lately)]
		it.Text += "!"
		return scrollOf(viewer, 50, []Item{it})
	}},
	{"T1 a post with another's text", "T1", "has the id", func(t *testing.T, w *world) *Scroll {
		a, b := w.items[w.post(friend, lately)], w.items[w.post(other, lately)]
		a.Text = b.Text
		return scrollOf(viewer, 50, []Item{a})
	}},
	{"T1 a post under another author", "T1", "not the one who wrote it", func(t *testing.T, w *world) *Scroll {
		it := w.items[w.post(friend, lately)]
		it.Author = 3
		return scrollOf(viewer, 50, []Item{it})
	}},
	{"T1 a post with an altered payload", "T1", "its payload was altered", func(t *testing.T, w *world) *Scroll {
		it := w.items[w.post(friend, lately)] // number 0 has a payload
		it.Payload = nil
		return scrollOf(viewer, 50, []Item{it})
	}},
	{"T1 a refused post", "T1", "its call was refused", func(t *testing.T, w *world) *Scroll {
		n := w.send(friend)
		w.PostRefused(n)
		return w.scroll(viewer, 50, n)
	}},
	{"T2 twice on a page", "T2", "shown twice", func(t *testing.T, w *world) *Scroll {
		a, b := w.post(friend, long), w.post(friend, long)
		return w.scroll(viewer, 50, b, b, a)
	}},
	{"T2 twice across pages", "T2", "shown twice", func(t *testing.T, w *world) *Scroll {
		a, b := w.post(friend, long), w.post(friend, long)
		return w.scroll(viewer, 2, b, a, a)
	}},
	{"T3 an older post above a newer one", "T3", "is shown below", func(t *testing.T, w *world) *Scroll {
		a, b := w.post(friend, long), w.post(other, long)
		return w.scroll(viewer, 50, a, b)
	}},
	{"T4 an own post is missing, however new", "T4T6", "is missing", func(t *testing.T, w *world) *Scroll {
		w.post(viewer, begin)
		return w.scroll(viewer, 50)
	}},
	{"T4 a deleted post", "T4", "after it was deleted", func(t *testing.T, w *world) *Scroll {
		n := w.post(friend, long)
		w.remove(t, n, begin)
		return w.scroll(viewer, 50, n)
	}},
	{"T4 a post deleted before the second page was asked for", "T4", "after it was deleted", func(t *testing.T, w *world) *Scroll {
		a, b := w.post(friend, long), w.post(friend, long)
		w.remove(t, a, begin+time.Second)
		return w.scroll(viewer, 1, b, a)
	}},
	{"T4 a post of an author unfollowed", "T4", "not followed", func(t *testing.T, w *world) *Scroll {
		n := w.post(friend, long)
		w.edge(t, viewer, friend, false, true)
		return w.scroll(viewer, 50, n)
	}},
	{"T4 a post of a stranger", "T4", "not followed", func(t *testing.T, w *world) *Scroll {
		return w.scroll(viewer, 50, w.post(stranger, long))
	}},
	{"T4 an older post of an author just followed is missing", "T1T4T6", "is missing", func(t *testing.T, w *world) *Scroll {
		w.post(friend, long)
		w.edge(t, lonely, friend, true, true)
		return w.scroll(lonely, 50)
	}},
	{"T5 short pages without end", "T5", "4 short pages in a row", func(t *testing.T, w *world) *Scroll {
		return tokens("a", "b", "c", "d")
	}},
	{"T5 a short page that is not the last", "T5", "filters hid 0 at most", func(t *testing.T, w *world) *Scroll {
		return tokens("a", "")
	}},
	{"T5 a token that leads to itself", "T5", "the token that it was asked with", func(t *testing.T, w *world) *Scroll {
		return tokens("a", "a")
	}},
	{"T5 a page longer than asked", "T5", "2 posts on a page of 1", func(t *testing.T, w *world) *Scroll {
		s := w.scroll(viewer, 2, w.post(other, lately), w.post(friend, lately))
		s.Pages[0].Asked = 1
		s.Pages[0].Items[0], s.Pages[0].Items[1] = s.Pages[0].Items[1], s.Pages[0].Items[0]
		return s
	}},
	{"T6 an early end", "T1T6", "the scroll ended above it", func(t *testing.T, w *world) *Scroll {
		_, b := w.post(friend, long), w.post(other, long)
		return w.scroll(viewer, 1, b)
	}},
}

func TestFindsViolations(t *testing.T) {
	for _, c := range violations {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			v := w.Judge(c.scroll(t, w))
			if got := w.violated(); got != c.clauses {
				t.Errorf("violated: %q, want %q: %+v", got, c.clauses, w.Checks())
			}
			if v.Violations == 0 || w.Violations() != int64(v.Violations) {
				t.Errorf("the verdict has %d violations, the history %d", v.Violations, w.Violations())
			}
			found := false
			for _, check := range w.Checks() {
				for _, example := range check.Examples {
					found = found || strings.Contains(example, c.says)
					if !strings.HasPrefix(example, "seed 7, viewer ") {
						t.Errorf("an example does not say what repeats it: %s", example)
					}
				}
			}
			if !found {
				t.Errorf("no example says %q: %+v", c.says, w.Checks())
			}
		})
	}
}

// tokens is a scroll of empty pages of 50 that return these tokens.
func tokens(next ...string) *Scroll {
	s := &Scroll{Viewer: viewer}
	token := ""
	for _, n := range next {
		s.Add(Page{Token: token, Next: n, Asked: 50, Start: begin, End: begin})
		token = n
	}
	return s
}

// open are histories in which something may be so, or otherwise.
var open = []struct {
	name   string
	scroll func(t *testing.T, w *world) *Scroll
}{
	{"a post within the lag bound is shown", func(t *testing.T, w *world) *Scroll {
		return w.scroll(viewer, 50, w.post(friend, lately))
	}},
	{"a post within the lag bound is missing", func(t *testing.T, w *world) *Scroll {
		w.post(friend, lately)
		return w.scroll(viewer, 50)
	}},
	{"a post whose call timed out is shown", func(t *testing.T, w *world) *Scroll {
		return w.scroll(viewer, 50, w.send(friend))
	}},
	{"a post whose call timed out is missing", func(t *testing.T, w *world) *Scroll {
		w.send(viewer)
		return w.scroll(viewer, 50)
	}},
	{"a post is deleted during the scroll, and shown", func(t *testing.T, w *world) *Scroll {
		n := w.post(friend, long)
		w.remove(t, n, begin+1)
		return w.scroll(viewer, 50, n)
	}},
	{"a post is deleted during the scroll, and missing", func(t *testing.T, w *world) *Scroll {
		w.remove(t, w.post(friend, long), begin+2)
		return w.scroll(viewer, 50)
	}},
	{"a post whose delete timed out is shown", func(t *testing.T, w *world) *Scroll {
		n := w.post(friend, long)
		w.DeleteSent(n, long)
		return w.scroll(viewer, 50, n)
	}},
	{"a post whose delete timed out is missing", func(t *testing.T, w *world) *Scroll {
		w.DeleteSent(w.post(friend, long), long)
		return w.scroll(viewer, 50)
	}},
	{"posts of an author whose follow timed out are shown", func(t *testing.T, w *world) *Scroll {
		w.edge(t, lonely, friend, true, false)
		return w.scroll(lonely, 50, w.post(friend, long))
	}},
	{"posts of an author whose follow timed out are missing", func(t *testing.T, w *world) *Scroll {
		w.edge(t, lonely, friend, true, false)
		w.post(friend, long)
		return w.scroll(lonely, 50)
	}},
	{"posts of an author whose unfollow timed out are shown", func(t *testing.T, w *world) *Scroll {
		w.edge(t, viewer, friend, false, false)
		return w.scroll(viewer, 50, w.post(friend, long))
	}},
	{"posts of an author whose unfollow timed out are missing", func(t *testing.T, w *world) *Scroll {
		w.edge(t, viewer, friend, false, false)
		w.post(friend, long)
		return w.scroll(viewer, 50)
	}},
	{"a post older than the run is shown", func(t *testing.T, w *world) *Scroll {
		w.Foreign(900)
		return scrollOf(viewer, 50, []Item{{ID: 900, Author: 2, Text: "from an earlier run"}})
	}},
	{"a page that a thousand deleted posts made short", func(t *testing.T, w *world) *Scroll {
		for range 1000 {
			w.remove(t, w.post(friend, long), long)
		}
		return tokens("a", "b", "")
	}},
	{"a scroll that was broken off lacks what lies below", func(t *testing.T, w *world) *Scroll {
		_, b := w.post(friend, long), w.post(friend, long)
		s := &Scroll{Viewer: viewer}
		s.Add(Page{Next: "more", Asked: 1, Start: begin, End: begin, Items: []Item{w.items[b]}})
		return s
	}},
	{"a scroll that was broken off before its first page", func(t *testing.T, w *world) *Scroll {
		w.post(viewer, long)
		return &Scroll{Viewer: viewer}
	}},
}

func TestAllowsWhatIsOpen(t *testing.T) {
	for _, c := range open {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.Judge(c.scroll(t, w))
			if w.violated() != "" {
				t.Errorf("violated: %+v", w.Checks())
			}
		})
	}
}

// A correct scroll is counted: every pair under its source, own acts under T4,
// the first post and what lies beyond the cap under T6.
func TestCountsWhatItTried(t *testing.T) {
	w := newWorld()
	var all []Number
	for i := range 900 {
		author := friend
		if i == 0 {
			author = viewer
		}
		n := w.post(author, long)
		it := w.items[n]
		if i%3 == 0 {
			it.Source = 2 // pulled
		}
		w.items[n] = it
		all = append([]Number{n}, all...)
	}
	w.remove(t, all[0], long)
	v := w.Judge(w.scroll(viewer, 200, all[1:]...))
	if v.Pairs != 899 || v.Pushed != 599 || v.Violations != 0 {
		t.Errorf("verdict %+v, want 899 pairs, 599 of them pushed", v)
	}
	want := map[string]struct{ tried, pulled int64 }{
		"T1": {899, 300}, "T2": {899, 300}, "T3": {899, 300},
		"T4": {2, 1},   // the own post, which is pulled, and the delete
		"T5": {5, 0},   // pages with a token
		"T6": {99, 33}, // beyond 800, the first post among them
	}
	for _, c := range w.Checks() {
		if c.Tried != want[c.Name].tried || c.BySource["pulled"] != want[c.Name].pulled {
			t.Errorf("%s: tried %d, of them pulled %d; want %+v", c.Name, c.Tried, c.BySource["pulled"], want[c.Name])
		}
	}
}
