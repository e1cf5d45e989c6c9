package fanout_test

import (
	"bytes"
	"errors"
	"testing"

	"skein/fanout"
	"skein/fanout/eventlog"
	"skein/feed"
	"skein/timeline"
)

// F5: any of what is set aside may be replayed before the others, one that fails
// again holds up nobody, and what was replayed stays off the list after a restart.
func TestReplaySome(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 10)
	f, kill := r.start()
	var posts []feed.PostID
	for range 4 {
		id := r.post(author)
		f.Wake()
		r.eventually("it is delivered", func() bool { return r.missing(id, viewers) == 0 })
		must(t, r.log.Append(t.Context(), "posts", eventlog.Record{Key: []byte("x"), Value: []byte("\xff"), Post: id}))
		posts = append(posts, id)
	}
	listed := func() (offsets []int64) {
		list, all, err := fanout.ListAside(t.Context(), r.log, 10)
		must(t, err)
		if all != len(list) {
			t.Fatalf("%d listed of %d", len(list), all)
		}
		for _, a := range list {
			if a.Post != posts[a.Offset] || a.Author != author || a.Lane != "small" || a.Reason == "" || a.Time.IsZero() {
				t.Errorf("listed %+v", a)
			}
			offsets = append(offsets, a.Offset)
		}
		return offsets
	}
	wantListed := func(when string, want ...int64) {
		t.Helper()
		r.eventually(when, func() bool { return len(asideOf(f)) == len(want) })
		got := listed()
		if len(got) != len(want) {
			t.Fatalf("%s: listed %d, want %d", when, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s: listed %d, want %d", when, got, want)
			}
		}
	}
	wantListed("all are set aside", 0, 1, 2, 3)
	if list, all, err := fanout.ListAside(t.Context(), r.log, 2); len(list) != 2 || all != 4 || err != nil {
		t.Errorf("the first two: %+v of %d, %v", list, all, err)
	}

	bad := errors.New("this post breaks the store")
	hook := func(deliveries []timeline.Delivery) error {
		if deliveries[0].Post == posts[0] {
			return bad
		}
		return nil
	}
	r.timelines.hook.Store(&hook)
	none := func(fanout.Replayed) { t.Error("something was replayed") }
	if err := f.ReplaySome(t.Context(), []int64{1, 9}, none); feed.CodeOf(err) != feed.CodeNotFound {
		t.Errorf("an offset that is not listed: %v", err)
	}
	outcomes := map[int64]error{}
	note := func(o fanout.Replayed) { outcomes[o.Offset] = o.Err }
	for _, v := range viewers {
		r.build(v) // lost, and built by somebody who did not see the posts
	}
	must(t, f.ReplaySome(t.Context(), []int64{2, 0}, note))
	if len(outcomes) != 2 || outcomes[2] != nil || !errors.Is(outcomes[0], bad) {
		t.Errorf("replayed: %v", outcomes)
	}
	if r.missing(posts[2], viewers) > 0 {
		t.Error("a replayed post is missing")
	}
	wantListed("one is replayed", 0, 1, 3)

	kill()
	f, _ = r.start()
	wantListed("after a restart", 0, 1, 3)
	r.timelines.hook.Store(nil)
	if n, err := f.Replay(t.Context()); n != 3 || err != nil {
		t.Errorf("replayed %d of the rest, %v", n, err)
	}
	wantListed("all are replayed")
	committed, err := r.log.Committed(t.Context(), "replay", "set-aside")
	if err != nil || committed[0] < 8 {
		t.Errorf("the group stands at %d (%v): what was replayed is read again for ever", committed, err)
	}
}

// F5: what cannot be handled may be as large as the log takes; it is set aside all the
// same, and the top passes it.
func TestSetAsideOfALargeRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	viewers := r.followers(author, 1)
	large := eventlog.Record{Key: []byte("x"), Value: bytes.Repeat([]byte{0xff}, 1_048_000), Post: r.post(author)}
	longKey := eventlog.Record{Key: bytes.Repeat([]byte("k"), 1_048_000), Value: []byte("\xff"), Post: r.post(author)}
	must(t, r.log.Append(t.Context(), "posts", large, longKey))
	f, _ := r.start()
	id := r.post(author)
	f.Wake()
	r.eventually("the next post is delivered, and the top passes", func() bool {
		return r.missing(id, viewers) == 0 && topOf(f, 0) > id
	})
	if aside := asideOf(f); len(aside) != 2 || aside[0].Post != longKey.Post || aside[1].Post != large.Post {
		t.Errorf("set aside are %v, want %d and %d", aside, longKey.Post, large.Post)
	}
	if n, err := f.Replay(t.Context()); n != 2 || err != nil || r.missing(large.Post, viewers) > 0 {
		t.Errorf("replayed %d, %v; the post is missing from %d", n, err, r.missing(large.Post, viewers))
	}
}

// Beyond the posts that readers pull the top stays; a replay of some makes room
// for the rest.
func TestReplayMakesRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.followers(author, 1)
	f, _ := r.start()
	id := r.post(author)
	const n = 1_002
	records := make([]eventlog.Record, n)
	for i := range records {
		records[i] = eventlog.Record{Key: []byte("x"), Value: []byte("\xff"), Post: id}
	}
	must(t, r.log.Append(t.Context(), "posts", records...))
	r.eventually("all are set aside, and the top stays", func() bool {
		_, all, err := fanout.ListAside(t.Context(), r.log, 0)
		return err == nil && all == n && len(asideOf(f)) == 1 && topOf(f, 0) <= id
	})
	must(t, f.ReplaySome(t.Context(), []int64{500, 501, 502}, func(fanout.Replayed) {}))
	next := r.post(author)
	f.Wake()
	r.eventually("the top passes", func() bool { return topOf(f, 0) > next })
}
