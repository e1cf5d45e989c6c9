package memory

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/timeline"
)

var ctx = context.Background()

// verify holds every stripe to the invariants of doc.go and to its own counts.
func (s *Store) verify(t rapid.TB) {
	t.Helper()
	total := int64(0)
	for i := range s.stripes {
		st := &s.stripes[i]
		st.mu.Lock()
		st.verify(t, s.limits)
		total += st.bytes()
		st.mu.Unlock()
	}
	if got := s.bytes.Load() - int64(unsafe.Sizeof(*s)); got != total {
		t.Fatalf("the stripes hold %d bytes, the store counts %d", total, got)
	}
}

func (st *stripe) verify(t rapid.TB, l limits) {
	t.Helper()
	var room, entries, linked int64
	var states [3]int64
	last := int64(-1 << 62)
	for n := st.mu.slots[0].newer; n != 0; n = st.mu.slots[n].newer {
		sl := &st.mu.slots[n]
		linked++
		states[sl.state]++
		room += int64(cap(sl.entries))
		entries += int64(len(sl.entries))
		if sl.read < last {
			t.Fatalf("viewer %d stands after one who read later", sl.viewer)
		}
		last = sl.read
		if st.mu.slots[st.mu.slots[n].older].newer != n || st.mu.index.get(keyOf(sl.viewer)) != n {
			t.Fatalf("slot %d of viewer %d is not where the ring or the index has it", n, sl.viewer)
		}
		if len(sl.entries) > l.full || cap(sl.entries) > 2*l.full+16 {
			t.Fatalf("viewer %d has %d entries, room for %d", sl.viewer, len(sl.entries), cap(sl.entries))
		}
		above := sl.Bottom
		for _, e := range sl.entries {
			if e.ID() <= above {
				t.Fatalf("entries of %d do not rise from the bottom %d: %v", sl.viewer, sl.Bottom, sl.entries)
			}
			above = e.ID()
		}
	}
	free := int64(0)
	for n := st.mu.free; n != 0; n = st.mu.slots[n].older {
		free++
	}
	if linked+free != int64(len(st.mu.slots)-1) {
		t.Fatalf("%d slots in use, %d free, %d in all", linked, free, len(st.mu.slots)-1)
	}
	if room != st.mu.room || entries != st.mu.entries || states != st.mu.states {
		t.Fatalf("counted %d room, %d entries, %v; there are %d, %d, %v",
			st.mu.room, st.mu.entries, st.mu.states, room, entries, states)
	}
}

// Random calls under limits that bite, with time passing and at times turning
// back: the invariants hold, and the limit does once each call is over.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_000_000, 0)
		empty := New(Options{})
		limit := rapid.SampledFrom([]int64{0, 1, 8_000, 60_000}).Draw(t, "limit")
		opts := Options{
			Cap:      rapid.IntRange(1, 40).Draw(t, "cap"),
			MaxBytes: limit,
			Idle:     time.Duration(rapid.IntRange(0, 100).Draw(t, "idle")),
			Clock:    func() time.Time { return now },
		}
		if limit > 1 {
			opts.MaxBytes += empty.bytes.Load()
		}
		s := New(opts)
		// Few stripes, with several viewers each, near and far.
		viewer := rapid.Custom(func(t *rapid.T) feed.UserID {
			return feed.UserID(rapid.IntRange(0, 2).Draw(t, "stripe")) + stripes*rapid.SampledFrom([]feed.UserID{1, 2, 3, 5000, 1 << 40}).Draw(t, "key")
		})
		viewers := rapid.SliceOfN(viewer, 1, 6)
		post := rapid.Map(rapid.IntRange(-1, 200), func(n int) feed.PostID { return feed.PostID(n) })
		entry := rapid.Map(post, timeline.Rebuilt)
		tokens := map[feed.UserID]timeline.Token{}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { s.verify(t) },
			"create": func(t *rapid.T) {
				v := viewer.Draw(t, "viewer")
				if token, ok, _ := s.Create(ctx, v, 1); ok {
					tokens[v] = token
				}
			},
			"finish": func(t *rapid.T) {
				v := viewer.Draw(t, "viewer")
				s.Finish(ctx, v, tokens[v], rapid.SliceOf(entry).Draw(t, "scan"), post.Draw(t, "bottom"), 1)
			},
			"fold": func(t *rapid.T) {
				v := viewer.Draw(t, "viewer")
				s.Fold(ctx, v, tokens[v], 1, 1, rapid.SliceOf(entry).Draw(t, "folded"))
			},
			"deliver": func(t *rapid.T) {
				for range 20 {
					s.Deliver(ctx, []timeline.Delivery{{Post: post.Draw(t, "post"), Viewers: viewers.Draw(t, "viewers")}})
				}
			},
			"read": func(t *rapid.T) {
				s.Read(ctx, timeline.Query{Viewer: viewer.Draw(t, "viewer"), Before: post.Draw(t, "before"), Limit: rapid.IntRange(-1, 9).Draw(t, "limit"), Life: 1})
			},
			"drop": func(t *rapid.T) { s.Drop(ctx, viewers.Draw(t, "viewers")...) },
			"time": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(-30, 60).Draw(t, "step"))) },
		})
		s.evict(0)
		if limit > 0 && s.bytes.Load() > opts.MaxBytes {
			if got, _ := s.Stats(ctx); got.Live+got.Building > 0 {
				t.Fatalf("%+v over the limit of %d", got, opts.MaxBytes)
			}
		}
	})
}

// The same counts after everything at once; for the race detector, and for
// stores that are read, evicted and expired while written.
func TestInvariantsUnderConcurrency(t *testing.T) {
	const viewers, rounds = 64 * 3, 300
	s := New(Options{Cap: 20, MaxBytes: New(Options{}).bytes.Load() + 60_000, Idle: 20 * time.Millisecond})
	all := make([]feed.UserID, viewers)
	for i := range all {
		all[i] = feed.UserID(i + 1)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range rounds {
				v := all[(n*7+w*31)%viewers]
				token, _, _ := s.Create(ctx, v, 1)
				s.Deliver(ctx, []timeline.Delivery{{Post: feed.PostID(n*4 + w + 1), Viewers: all}})
				s.Finish(ctx, v, token, []timeline.Entry{timeline.Rebuilt(feed.PostID(n + 1))}, 0, 1)
				s.Read(ctx, timeline.Query{Viewer: v, Before: feed.MaxPostID, Limit: 10, Life: 1})
				s.Announce(ctx, timeline.Act{Viewer: v, Deleted: 1})
				s.Drop(ctx, all[(n*5+w)%viewers])
				s.Stats(ctx)
			}
		})
	}
	wg.Wait()
	s.verify(t)
}

// F6: of one batch, who read lately comes before who did not, in every stripe.
func TestRecentReadersFirst(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := New(Options{Clock: func() time.Time { return now }})
	st := &s.stripes[1]
	quiet, recent := feed.UserID(1), feed.UserID(1+stripes)
	s.Create(ctx, quiet, 1)
	now = now.Add(lately + 1)
	s.Create(ctx, recent, 1)
	var out timeline.Outcome
	pairs := []pair{{quiet, 5}, {recent, 5}, {quiet, 6}, {recent, 6}, {1 + 3*stripes, 5}}
	rest := s.deliver(st, pairs, lately, &out)
	if want := []pair{{quiet, 5}, {quiet, 6}}; !slices.Equal(rest, want) {
		t.Fatalf("left for the second turn: %v, want %v", rest, want)
	}
	if got := [2]int{len(st.find(recent).entries), len(st.find(quiet).entries)}; got != [2]int{2, 0} {
		t.Fatalf("after the first turn the recent reader has %d entries, the quiet one %d", got[0], got[1])
	}
	if rest = s.deliver(st, rest, 0, &out); len(rest) != 0 || out.Entries != 4 || out.Repeats != 0 || out.Misses != 1 {
		t.Fatalf("after the second turn %v are left, and %+v", rest, out)
	}
}

// F4: what groups a delivery is bounded, however large the delivery.
func TestBatchesAreBounded(t *testing.T) {
	s := New(Options{})
	viewers := make([]feed.UserID, 5*batchSize)
	for i := range viewers {
		viewers[i] = stripes // all in one stripe
	}
	s.Create(ctx, stripes, 1)
	var b batch
	var out timeline.Outcome
	s.deliverAll(&b, []timeline.Delivery{{Post: 1, Viewers: viewers[:batchSize/2]}, {Post: 2, Viewers: viewers}}, &out)
	if want := int64(len(viewers) + batchSize/2 - 2); out.Entries != 2 || out.Repeats != want {
		t.Errorf("%+v, want 2 entries and %d repeats", out, want)
	}
	if room := cap(b.groups[0]); room > 2*batchSize || b.size != 0 || len(b.groups[0]) != 0 {
		t.Errorf("room for %d pairs in one group, %d pairs left", room, b.size)
	}
}
