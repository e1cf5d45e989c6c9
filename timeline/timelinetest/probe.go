package timelinetest

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/timeline"
)

const (
	// life is the life of the event log in cases that are not about it.
	life = 7
	// all is a limit that no timeline of the suite reaches.
	all = 1 << 14
)

// probe is a store together with the test that asks it. Its methods fail the
// test on an error, and on an answer that the contract rules out in every case.
type probe struct {
	rapid.TB
	ctx   context.Context
	store timeline.Store
	// base is the id of post 0: two seconds ago, a millisecond between posts,
	// so that some are younger than feed.MaxIDAge and some older.
	base feed.PostID
}

func open(t testing.TB, e Engine, opts Options) probe {
	t.Helper()
	store := e.Open(t, opts)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return probe{TB: t, ctx: context.Background(), store: store, base: feed.IDAt(time.Now().Add(-2 * time.Second))}
}

// on returns the same probe for another test, as rapid makes them.
func (p probe) on(t rapid.TB) probe {
	p.TB = t
	return p
}

// post is the id of the n-th post; it rises with n.
func (p probe) post(n int) feed.PostID { return p.base + feed.PostID(n)*step }

const step = 1 << 22 // a millisecond of id time

// number is the inverse of post.
func (p probe) number(id feed.PostID) int { return int((id - p.base) / step) }

// numbers are the posts of entries.
func (p probe) numbers(entries []timeline.Entry) []int {
	out := make([]int, 0, len(entries))
	for _, e := range entries {
		out = append(out, p.number(e.ID()))
	}
	return out
}

// rebuilt makes entries from storage of posts n, in the order given.
func (p probe) rebuilt(n ...int) []timeline.Entry {
	out := make([]timeline.Entry, 0, len(n))
	for _, i := range n {
		out = append(out, timeline.Rebuilt(p.post(i)))
	}
	return out
}

func (p probe) tryCreate(v feed.UserID, life uint64) (timeline.Token, bool) {
	p.Helper()
	token, ok, err := p.store.Create(p.ctx, v, life)
	if err != nil {
		p.Fatalf("Create(%d): %v", v, err)
	}
	if ok && token == 0 {
		p.Fatalf("Create(%d) gave the token 0, which is none", v)
	}
	return token, ok
}

func (p probe) create(v feed.UserID) timeline.Token {
	p.Helper()
	token, ok := p.tryCreate(v, life)
	if !ok {
		p.Fatalf("Create(%d): not ok", v)
	}
	return token
}

// finish finishes a building with posts n, newest first, above post bottom.
func (p probe) finish(v feed.UserID, token timeline.Token, bottom int, n ...int) bool {
	p.Helper()
	ok, err := p.store.Finish(p.ctx, v, token, p.rebuilt(n...), p.post(bottom), 1)
	if err != nil {
		p.Fatalf("Finish(%d): %v", v, err)
	}
	return ok
}

// live makes timelines that are live, empty and complete above post 0.
func (p probe) live(viewers ...feed.UserID) {
	p.Helper()
	for _, v := range viewers {
		if !p.finish(v, p.create(v), 0) {
			p.Fatalf("Finish(%d) after Create: not ok", v)
		}
	}
}

func (p probe) fold(v feed.UserID, token timeline.Token, old, next uint64, n ...int) bool {
	p.Helper()
	ok, err := p.store.Fold(p.ctx, v, token, old, next, p.rebuilt(n...))
	if err != nil {
		p.Fatalf("Fold(%d): %v", v, err)
	}
	return ok
}

func (p probe) deliver(n int, viewers ...feed.UserID) timeline.Outcome {
	p.Helper()
	return p.deliverAll(timeline.Delivery{Post: p.post(n), Viewers: viewers})
}

func (p probe) deliverAll(deliveries ...timeline.Delivery) timeline.Outcome {
	p.Helper()
	out, err := p.store.Deliver(p.ctx, deliveries)
	if err != nil {
		p.Fatalf("Deliver: %v", err)
	}
	if len(out.Undelivered) > 0 {
		p.Fatalf("Deliver: shard %d did not take all: %v", out.Undelivered[0].Shard, out.Undelivered[0].Err)
	}
	pairs := 0
	for _, d := range deliveries {
		pairs += len(d.Viewers)
	}
	if sum := out.Entries + out.Repeats + out.Misses; sum != int64(pairs) {
		p.Fatalf("Deliver accounts for %d of %d pairs: %+v", sum, pairs, out)
	}
	return out
}

func (p probe) drop(viewers ...feed.UserID) {
	p.Helper()
	if err := p.store.Drop(p.ctx, viewers...); err != nil {
		p.Fatalf("Drop(%v): %v", viewers, err)
	}
}

func (p probe) announce(act timeline.Act) {
	p.Helper()
	if err := p.store.Announce(p.ctx, act); err != nil {
		p.Fatalf("Announce(%+v): %v", act, err)
	}
}
