package redis

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"skein/feed"
	"skein/timeline"
)

// pipelineLength is how many commands a pipeline of deliveries has: enough to
// make the way there and back cheap, a millisecond's work for the server.
const pipelineLength = 500

// cutsLength is how many scripts that cut a pipeline has. They take up to a third of
// a millisecond each, and the server serves nobody else meanwhile.
const cutsLength = 20

// pair is one post for one viewer. Pairs of one viewer stand together and go in
// one command.
type pair struct {
	viewer feed.UserID
	post   feed.PostID
	turn   uint64 // of the viewer, drawn anew for each call
}

// Deliver appends posts, blindly: one LPUSHX for each viewer, which does nothing
// where there is no timeline, and answers with the length of the list. One that
// has become too long is cut by a script.
//
// Whom it serves first is drawn for each call (F6). It does not know who read
// lately: the server knows only the time to live, and to ask for it would cost as
// much as the delivery itself.
//
// In a cluster each master gets a share. What is sent elsewhere by its answer goes
// there in another round, as does what a master did not take that has a successor.
func (s *Store) Deliver(ctx context.Context, deliveries []timeline.Delivery) (timeline.Outcome, error) {
	var out timeline.Outcome
	shares, failed := s.route(s.pairs(deliveries))
	for round := 1; ; round++ {
		begun := time.Now()
		var wg sync.WaitGroup
		for _, sh := range shares {
			wg.Go(func() { sh.send(ctx) })
		}
		wg.Wait()
		for _, sh := range shares {
			out.Entries += sh.mu.entries
			out.Misses += sh.mu.misses
		}
		if shares = s.again(ctx, shares, &failed, round, begun); len(shares) == 0 {
			break
		}
	}
	s.tell(&out, failed)
	if len(out.Undelivered) > 0 && ctx.Err() != nil {
		return out, unavailable("deliver posts", ctx.Err())
	}
	return out, nil
}

// pairs lists what is to be delivered, by viewer, in an order of viewers drawn anew.
func (s *Store) pairs(deliveries []timeline.Delivery) []pair {
	drawn := feed.UserID(rand.Uint64())
	n := 0
	for _, d := range deliveries {
		n += len(d.Viewers)
	}
	pairs := make([]pair, 0, n)
	for _, d := range deliveries {
		start := 0
		if len(d.Viewers) > 0 {
			start = rand.IntN(len(d.Viewers))
		}
		for _, viewers := range [][]feed.UserID{d.Viewers[start:], d.Viewers[:start]} {
			for _, v := range viewers {
				pairs = append(pairs, pair{viewer: v, post: d.Post, turn: (v ^ drawn).Hash()})
			}
		}
	}
	if len(deliveries) > 1 { // else there is nothing to join
		slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.turn, b.turn) })
	}
	return pairs
}

// failures are pairs that were not delivered, and why.
type failures struct {
	pairs []pair
	err   error // the first one
}

func (f *failures) add(pairs []pair, err error) {
	f.pairs = append(f.pairs, pairs...)
	if f.err == nil {
		f.err = err
	}
}

// route gives each master its share, in the order of pairs.
func (s *Store) route(pairs []pair) (shares []*share, failed failures) {
	v := s.view.Load()
	if !s.cluster {
		return []*share{{store: s, node: v.masters[0], pairs: pairs}}, failed
	}
	byMaster := make([]share, len(v.masters))
	for _, p := range pairs {
		if i := v.owner[slotOfViewer(p.viewer)]; i > 0 {
			byMaster[i-1].pairs = append(byMaster[i-1].pairs, p)
		} else {
			failed.add([]pair{p}, errNoOwner)
		}
	}
	for i := range byMaster {
		if sh := &byMaster[i]; len(sh.pairs) > 0 {
			sh.store, sh.node = s, v.masters[i]
			shares = append(shares, sh)
		}
	}
	return shares, failed
}

// again returns the shares of the next round: what was sent elsewhere, and what
// failed at a master that has a successor by now. The rest goes to failed.
func (s *Store) again(ctx context.Context, shares []*share, failed *failures, round int, begun time.Time) (next []*share) {
	var moved []pair
	var missed []*share
	asked := map[string][]pair{}
	for _, sh := range shares {
		moved = append(moved, sh.mu.moved...)
		for address, pairs := range sh.mu.asked {
			asked[address] = append(asked[address], pairs...)
		}
		if len(sh.mu.failed.pairs) > 0 {
			missed = append(missed, sh)
		}
	}
	last := !s.cluster || round == rounds || ctx.Err() != nil
	for address, pairs := range asked {
		if last {
			failed.add(pairs, errSentOn)
			continue
		}
		next = append(next, &share{store: s, node: s.nodeAt(address), ask: true, pairs: pairs})
	}
	if !last && len(moved)+len(missed) > 0 {
		if len(moved) == 0 {
			begun = begun.Add(-settling) // nothing contradicts the view
		}
		if _, err := s.reload(ctx, begun); err != nil {
			last = true
		}
	}
	for _, sh := range missed {
		for _, p := range sh.mu.failed.pairs {
			if n := s.view.Load().ownerOf(s.slotOf(p.viewer)); !last && n != nil && n != sh.node {
				moved = append(moved, p)
			} else {
				failed.add([]pair{p}, sh.mu.failed.err)
			}
		}
	}
	if last {
		failed.add(moved, errSentOn)
		return next
	}
	routed, homeless := s.route(moved)
	failed.add(homeless.pairs, homeless.err)
	return append(next, routed...)
}

var errSentOn = errors.New("it is sent on and on: no master takes it")

// tell adds what was not delivered to an outcome, by shard.
func (s *Store) tell(out *timeline.Outcome, failed failures) {
	if len(failed.pairs) == 0 {
		return
	}
	byShard := make([][]pair, s.Shards())
	for _, p := range failed.pairs {
		byShard[s.Shard(p.viewer)] = append(byShard[s.Shard(p.viewer)], p)
	}
	err := unavailable("deliver to redis", failed.err)
	for shard, pairs := range byShard {
		if len(pairs) == 0 {
			continue
		}
		slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.post, b.post) })
		u := timeline.Undelivered{Shard: shard, Err: err}
		for i, p := range pairs {
			if i == 0 || p.post != pairs[i-1].post {
				u.Deliveries = append(u.Deliveries, timeline.Delivery{Post: p.post})
			}
			d := &u.Deliveries[len(u.Deliveries)-1]
			d.Viewers = append(d.Viewers, p.viewer)
		}
		out.Undelivered = append(out.Undelivered, u)
	}
}
