package oracle

import (
	"testing"
	"time"
)

// after moves a scroll to a later moment.
func after(s *Scroll, later time.Duration) *Scroll {
	for i := range s.Pages {
		s.Pages[i].Start += later
		s.Pages[i].End += later
	}
	return s
}

// An act without an outcome is open until a read shows which it was; a later
// read must then agree.
func TestAReadShowsWhatHappened(t *testing.T) {
	cases := []struct {
		name, clauses string
		first, later  func(t *testing.T, w *world) *Scroll
	}{
		{
			"a possible post that was shown exists", "T1T6",
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50, w.send(friend)) },
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50) },
		},
		{
			"a possible delete that was seen is final", "T4",
			func(t *testing.T, w *world) *Scroll {
				w.DeleteSent(w.post(friend, long), long)
				return w.scroll(viewer, 50)
			},
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50, 0) },
		},
		{
			"a possible follow that was seen holds", "T1T4T6",
			func(t *testing.T, w *world) *Scroll {
				w.edge(t, lonely, friend, true, false)
				return w.scroll(lonely, 50, w.post(friend, long))
			},
			func(t *testing.T, w *world) *Scroll { return w.scroll(lonely, 50) },
		},
		{
			"a possible unfollow that was seen holds", "T4",
			func(t *testing.T, w *world) *Scroll {
				w.edge(t, viewer, friend, false, false)
				w.post(friend, long)
				return w.scroll(viewer, 50)
			},
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50, 0) },
		},
		{
			"T2 a possible post has one id", "T2",
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50, w.send(friend)) },
			func(t *testing.T, w *world) *Scroll {
				w.PostAcked(0, 77, begin+time.Minute)
				return w.scroll(viewer, 50, 0)
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.Judge(c.first(t, w))
			if w.violated() != "" {
				t.Fatalf("the first read violates: %+v", w.Checks())
			}
			w.Judge(after(c.later(t, w), time.Hour))
			if got := w.violated(); got != c.clauses {
				t.Errorf("violated: %q, want %q: %+v", got, c.clauses, w.Checks())
			}
		})
	}
}

// What one read showed of an act that has not returned, another need not show
// at once.
func TestWhatOneReadShowsBindsLater(t *testing.T) {
	cases := []struct {
		name         string
		first, later func(t *testing.T, w *world) *Scroll
	}{
		{
			"a delete on its way",
			func(t *testing.T, w *world) *Scroll {
				w.DeleteSent(w.post(friend, long), begin)
				return w.scroll(viewer, 50)
			},
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50, 0) },
		},
		{
			"an own post whose call timed out",
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50, w.send(viewer)) },
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50) },
		},
		{
			"a follow whose call timed out",
			func(t *testing.T, w *world) *Scroll {
				w.edge(t, lonely, friend, true, false)
				return w.scroll(lonely, 50, w.post(friend, long))
			},
			func(t *testing.T, w *world) *Scroll { return w.scroll(lonely, 50) },
		},
		{
			"an unfollow whose call timed out",
			func(t *testing.T, w *world) *Scroll {
				w.edge(t, viewer, friend, false, false)
				w.post(friend, long)
				return w.scroll(viewer, 50)
			},
			func(t *testing.T, w *world) *Scroll { return w.scroll(viewer, 50, 0) },
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.Judge(c.first(t, w))
			w.Judge(after(c.later(t, w), 2*time.Second))
			if w.violated() != "" {
				t.Errorf("violated: %+v", w.Checks())
			}
		})
	}
}

// An edge whose act has no outcome is left alone until all are put back; one that is
// known can be found and changed back.
func TestEdges(t *testing.T) {
	w := newWorld()
	w.edge(t, viewer, friend, false, false)
	if w.EdgeSent(viewer, friend, true) {
		t.Error("an act on an edge in doubt was allowed")
	}
	if _, ok := w.Changed(viewer); ok {
		t.Error("an edge in doubt counts as changed")
	}
	if all := w.AllChanged(); len(all) != 1 || all[0] != (Edge{Viewer: viewer, Author: friend, Follows: false}) {
		t.Errorf("to put back: %+v", all)
	}
	w.EdgeRefused(viewer, friend, false)
	if _, ok := w.Changed(viewer); ok {
		t.Error("a refused unfollow counts as changed")
	}
	w.edge(t, viewer, other, false, true)
	want := Edge{Viewer: viewer, Author: other, Follows: false}
	if e, ok := w.Changed(viewer); !ok || e != want {
		t.Errorf("changed: %+v, %v", e, ok)
	}
	if all := w.AllChanged(); len(all) != 1 || all[0] != want {
		t.Errorf("all changed: %+v", all)
	}
	if w.EdgeSent(viewer, other, false) || w.EdgeSent(viewer, viewer, true) {
		t.Error("an act that changes nothing was allowed")
	}
	n := w.post(other, long)
	if w.Owes(viewer, n) {
		t.Error("a viewer is owed a post of an author not followed")
	}
	w.edge(t, viewer, other, true, true)
	if !w.Owes(viewer, n) {
		t.Error("a viewer is not owed a post of an author followed")
	}
	w.remove(t, n, begin)
	if w.Owes(viewer, n) {
		t.Error("a viewer is owed a deleted post")
	}
}
