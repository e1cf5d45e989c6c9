package memory_test

import (
	"errors"
	"testing"

	"skein/feed"
	"skein/timeline"
	"skein/timeline/memory"
)

// The log of deletes is bounded, and says so when asked beyond its end.
func TestDeletesAreForgottenLoudly(t *testing.T) {
	const kept = 4096
	s := memory.New(memory.Options{})
	for n := range kept + 10 {
		if err := s.Announce(ctx, timeline.Act{Deleted: feed.PostID(n + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		position uint64
		known    bool
		posts    int
	}{
		{0, false, 0},
		{9, false, 0},
		{10, true, kept},
		{11, true, kept - 1},
		{kept + 9, true, 1},
		{kept + 10, true, 0},
		{kept + 11, false, 0}, // of a store before this one
	} {
		got, err := s.DeletedSince(ctx, 0, c.position)
		if err != nil || got.Known != c.known || len(got.Posts) != c.posts {
			t.Errorf("since %d: known %v, %d posts, %v; want %v, %d", c.position, got.Known, len(got.Posts), err, c.known, c.posts)
		}
		for i, post := range got.Posts {
			if want := feed.PostID(c.position) + feed.PostID(i) + 1; post != want {
				t.Fatalf("since %d: post %d at %d, want %d", c.position, post, i, want)
			}
		}
	}
}

// T4 at its price: an act of one viewer leaves the copies of others alone.
func TestActsOfOthers(t *testing.T) {
	s := memory.New(memory.Options{})
	build(t, s, 1, 3)
	build(t, s, 2, 3)
	before := read(t, s, 2).Position
	s.Announce(ctx, timeline.Act{Viewer: 1})
	deliver(t, s, 9, 2)
	if after := read(t, s, 2).Position; after != before {
		t.Errorf("position %+v became %+v", before, after)
	}
}

// A page that covers nothing says so, whoever forgets to look at its state.
func TestFloorOfWhatIsNotLive(t *testing.T) {
	s := memory.New(memory.Options{})
	s.Create(ctx, 2, life)
	for v := feed.UserID(1); v <= 2; v++ {
		if page := read(t, s, v); page.Floor != feed.MaxPostID {
			t.Errorf("state %d: floor %d", page.State, page.Floor)
		}
	}
}

func TestClosedIsUnavailable(t *testing.T) {
	s := memory.New(memory.Options{})
	build(t, s, 1, 3)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	for name, call := range map[string]func() error{
		"Read":   func() error { _, err := s.Read(ctx, timeline.Query{Viewer: 1}); return err },
		"Create": func() error { _, _, err := s.Create(ctx, 1, life); return err },
		"Finish": func() error { _, err := s.Finish(ctx, 1, 1, nil, 0, 1); return err },
		"Fold":   func() error { _, err := s.Fold(ctx, 1, 1, 1, 2, nil); return err },
		"Deliver": func() error {
			_, err := s.Deliver(ctx, []timeline.Delivery{{Post: 1, Viewers: []feed.UserID{1}}})
			return err
		},
		"Barrier":      func() error { return s.Barrier(ctx, s.Mark()) },
		"Drop":         func() error { return s.Drop(ctx, 1) },
		"Announce":     func() error { return s.Announce(ctx, timeline.Act{Viewer: 1, Deleted: 1}) },
		"DeletedSince": func() error { _, err := s.DeletedSince(ctx, 0, 0); return err },
		"Stats":        func() error { _, err := s.Stats(ctx); return err },
	} {
		if err := call(); feed.CodeOf(err) != feed.CodeUnavailable {
			t.Errorf("%s after Close: %v, want UNAVAILABLE", name, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		opts  memory.Options
		field string // the one that is wrong
	}{
		{memory.Options{}, ""},
		{memory.Options{Cap: 1 << 16, MaxBytes: 1, Idle: 1}, ""},
		{memory.Options{Cap: -1}, "Cap"},
		{memory.Options{Cap: 1<<16 + 1}, "Cap"},
		{memory.Options{MaxBytes: -1}, "MaxBytes"},
		{memory.Options{Idle: -1}, "Idle"},
	} {
		err := c.opts.Validate()
		if c.field == "" {
			if err != nil {
				t.Errorf("%+v: %v", c.opts, err)
			}
			continue
		}
		wrong, ok := errors.AsType[*feed.Error](err)
		if !ok || wrong.Code != feed.CodeInvalid || len(wrong.Fields) != 1 || wrong.Fields[0].Field != c.field {
			t.Errorf("%+v: %v, want a violation of %s", c.opts, err, c.field)
		}
		if s := memory.New(c.opts); !build(t, s, 1, 3) { // at the nearest bound
			t.Errorf("%+v: the store does not work", c.opts)
		}
	}
}
