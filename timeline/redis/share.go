package redis

import (
	"context"
	"slices"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"skein/timeline"
)

// share is what one node gets of a Deliver.
type share struct {
	store *Store
	node  *node
	ask   bool // the node does not own their slots yet
	pairs []pair

	mu struct {
		sync.Mutex
		entries, misses int64
		failed          failures
		moved           []pair            // to be routed anew
		asked           map[string][]pair // to be sent to an address, this once
		down            bool              // the node does not answer
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
	cmds, err := sh.node.pipelined(ctx, sh.ask, func(pipe goredis.Pipeliner) {
		for _, args := range commands {
			pipe.Process(ctx, goredis.NewIntCmd(ctx, args...))
		}
	})
	if len(cmds) != len(groups) {
		sh.fail(pairs, err)
		return
	}
	var entries, misses int64
	took := false
	var long [][]pair
	for i, group := range groups {
		length, err := cmds[i].(*goredis.IntCmd).Result()
		took = took || err == nil
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
	if took {
		sh.store.use(sh.node)
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
	cmds, err := sh.node.pipelined(ctx, sh.ask, func(pipe goredis.Pipeliner) {
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
	to, elsewhere := redirected(err, sh.node)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case elsewhere && to.ask:
		if sh.mu.asked == nil {
			sh.mu.asked = map[string][]pair{}
		}
		sh.mu.asked[to.address] = append(sh.mu.asked[to.address], pairs...)
	case elsewhere || vanished(err):
		sh.mu.moved = append(sh.mu.moved, pairs...)
	default:
		sh.mu.failed.add(pairs, err)
		if err != nil && !answered(err) {
			sh.mu.down = true
		}
	}
}

func (sh *share) isDown() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.mu.down
}
