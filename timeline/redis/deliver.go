package redis

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"skein/feed"
	"skein/timeline"
)

// pipelineLength is how many commands a pipeline of deliveries has: enough to
// make the way there and back cheap, a millisecond's work for the server.
const pipelineLength = 500

// cutsLength is how many scripts that cut a pipeline has. They take a third of a
// millisecond each, and the server serves nobody else meanwhile.
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
func (s *Store) Deliver(ctx context.Context, deliveries []timeline.Delivery) (timeline.Outcome, error) {
	shares := make([]share, len(s.nodes))
	for i, pairs := range s.byNode(deliveries) {
		shares[i] = share{store: s, node: s.nodes[i], pairs: pairs}
	}
	var wg sync.WaitGroup
	for i := range shares {
		wg.Go(func() { shares[i].send(ctx) })
	}
	wg.Wait()
	var out timeline.Outcome
	for i := range shares {
		shares[i].tell(&out)
	}
	if len(out.Undelivered) > 0 && ctx.Err() != nil {
		return out, unavailable("deliver posts", ctx.Err())
	}
	return out, nil
}

// byNode lists the pairs of each node, by viewer, in an order of viewers drawn
// anew.
func (s *Store) byNode(deliveries []timeline.Delivery) [][]pair {
	drawn := feed.UserID(rand.Uint64())
	byNode := make([][]pair, len(s.nodes))
	if len(s.nodes) == 1 {
		n := 0
		for _, d := range deliveries {
			n += len(d.Viewers)
		}
		byNode[0] = make([]pair, 0, n)
	}
	for _, d := range deliveries {
		start := 0
		if len(d.Viewers) > 0 {
			start = rand.IntN(len(d.Viewers))
		}
		for _, viewers := range [][]feed.UserID{d.Viewers[start:], d.Viewers[:start]} {
			for _, v := range viewers {
				i := s.Shard(v)
				byNode[i] = append(byNode[i], pair{viewer: v, post: d.Post, turn: (v ^ drawn).Hash()})
			}
		}
	}
	if len(deliveries) > 1 { // else there is nothing to join
		for _, pairs := range byNode {
			slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.turn, b.turn) })
		}
	}
	return byNode
}

// share is what one node gets of a Deliver.
type share struct {
	store *Store
	node  *node
	pairs []pair

	mu struct {
		sync.Mutex
		entries, misses int64
		failed          []pair
		err             error // the first one
		down            bool  // the node does not answer
	}
}

// send sends all pairs, a few pipelines at a time. Once the node does not answer
// the rest is not sent: each pipeline would wait for its deadline.
func (sh *share) send(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for rest := sh.pairs; len(rest) > 0; {
		n := cut(rest)
		select {
		case sh.node.sending <- struct{}{}:
		case <-ctx.Done():
			sh.fail(rest, ctx.Err())
			return
		}
		if sh.isDown() {
			<-sh.node.sending
			sh.fail(rest, nil)
			return
		}
		part := rest[:n]
		wg.Go(func() {
			defer func() { <-sh.node.sending }()
			sh.sendPart(ctx, part)
		})
		rest = rest[n:]
	}
}

// cut returns how many pairs make the next pipeline.
func cut(pairs []pair) int {
	commands := 0
	for i := range pairs {
		if i == 0 || pairs[i].viewer != pairs[i-1].viewer {
			if commands++; commands > pipelineLength {
				return i
			}
		}
	}
	return len(pairs)
}

// sendPart sends one pipeline, and then cuts what has become too long.
func (sh *share) sendPart(ctx context.Context, pairs []pair) {
	groups := byViewer(pairs)
	commands := sh.store.commands(groups, len(pairs))
	cmds, err := sh.node.pipelined(ctx, func(pipe goredis.Pipeliner) {
		for _, args := range commands {
			pipe.Process(ctx, goredis.NewIntCmd(ctx, args...))
		}
	})
	if len(cmds) != len(groups) {
		sh.fail(pairs, err)
		return
	}
	var entries, misses int64
	var long [][]pair
	for i, group := range groups {
		length, err := cmds[i].(*goredis.IntCmd).Result()
		switch {
		case err != nil:
			sh.fail(group, err)
		case length == 0:
			misses += int64(len(group))
		case length > int64(sh.store.opts.full())+1:
			long = append(long, group)
		default:
			entries += int64(len(group))
		}
	}
	sh.count(entries, misses)
	for part := range slices.Chunk(long, cutsLength) {
		sh.compact(ctx, part)
	}
}

// byViewer cuts pairs into those of one viewer each.
func byViewer(pairs []pair) [][]pair {
	groups := make([][]pair, 0, min(len(pairs), pipelineLength))
	for len(pairs) > 0 {
		n := 1
		for n < len(pairs) && pairs[n].viewer == pairs[0].viewer {
			n++
		}
		groups = append(groups, pairs[:n])
		pairs = pairs[n:]
	}
	return groups
}

// commands returns an LPUSHX for each group. All their arguments lie in three
// arrays: one by one they would cost as much as all else that is done here.
func (s *Store) commands(groups [][]pair, pairs int) [][]any {
	var text []byte
	ends := make([]int, 0, len(groups)+pairs)
	for _, group := range groups {
		text = s.appendKey(text, group[0].viewer)
		ends = append(ends, len(text))
		for _, p := range group {
			text = pack(text, timeline.Delivered(p.post))
			ends = append(ends, len(text))
		}
	}
	all, parts := string(text), make([]string, len(ends))
	for i, from := 0, 0; i < len(ends); i++ {
		parts[i] = all[from:ends[i]]
		from = ends[i]
	}
	args := make([]any, 0, 2*len(groups)+pairs)
	commands := make([][]any, len(groups))
	for i, group := range groups {
		first := len(args)
		args = append(args, "lpushx")
		for j := range 1 + len(group) {
			args = append(args, &parts[j]) // a pointer fits an interface as it is
		}
		parts = parts[1+len(group):]
		commands[i] = args[first:len(args):len(args)]
	}
	return commands
}

// compact cuts the timelines of groups, which are delivered. Should it fail they
// count as not delivered: they are repeated, which tries to cut again.
func (sh *share) compact(ctx context.Context, groups [][]pair) {
	opts := sh.store.opts
	cmds, err := sh.node.pipelined(ctx, func(pipe goredis.Pipeliner) {
		for _, group := range groups {
			compactScript.queue(ctx, pipe, sh.store.key(group[0].viewer), opts.Cap, opts.full()+1)
		}
	})
	for i, group := range groups {
		if i < len(cmds) {
			err = cmds[i].Err()
		}
		if err != nil {
			sh.fail(group, err)
		} else {
			sh.count(int64(len(group)), 0)
		}
	}
}

func (sh *share) count(entries, misses int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.mu.entries += entries
	sh.mu.misses += misses
}

// fail notes pairs that were not delivered, and why if it is known.
func (sh *share) fail(pairs []pair, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.mu.failed = append(sh.mu.failed, pairs...)
	if sh.mu.err == nil {
		sh.mu.err = err
	}
	if _, answered := errors.AsType[goredis.Error](err); err != nil && !answered {
		sh.mu.down = true
	}
}

func (sh *share) isDown() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.mu.down
}

// tell adds what became of the share to an outcome.
func (sh *share) tell(out *timeline.Outcome) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	out.Entries += sh.mu.entries
	out.Misses += sh.mu.misses
	if len(sh.mu.failed) == 0 {
		return
	}
	failed := sh.mu.failed
	slices.SortFunc(failed, func(a, b pair) int { return cmp.Compare(a.post, b.post) })
	u := timeline.Undelivered{Shard: sh.node.shard, Err: unavailable("deliver to redis", sh.mu.err)}
	for i, p := range failed {
		if i == 0 || p.post != failed[i-1].post {
			u.Deliveries = append(u.Deliveries, timeline.Delivery{Post: p.post})
		}
		d := &u.Deliveries[len(u.Deliveries)-1]
		d.Viewers = append(d.Viewers, p.viewer)
	}
	out.Undelivered = append(out.Undelivered, u)
}
