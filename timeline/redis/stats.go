package redis

import (
	"context"
	"strconv"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"skein/timeline"
)

const (
	// sampleSize is how many keys Stats looks at on each node.
	sampleSize = 400
	// sampleTurns bounds the SCANs for them, where most keys are not ours.
	sampleTurns = 20
)

// Stats describes the store. Live, Building, Entries and Bytes are counted in a
// sample of each node's keys and scaled to all of them; with no more than 400
// keys they are exact, repeats not yet cut included. Evicted and Expired are the
// server's own counts since its start, of all keys of all its databases.
func (s *Store) Stats(ctx context.Context) (timeline.Stats, error) {
	var sum timeline.Stats
	masters := s.view.Load().masters
	var mu sync.Mutex
	err := each(len(masters), func(i int) error {
		got, err := s.sample(ctx, masters[i])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		sum.Live += got.Live
		sum.Building += got.Building
		sum.Entries += got.Entries
		sum.Bytes += got.Bytes
		sum.Evicted += got.Evicted
		sum.Expired += got.Expired
		return nil
	})
	if err != nil {
		return timeline.Stats{}, unavailable("describe the timelines", err)
	}
	return sum, nil
}

// sample describes one node.
func (s *Store) sample(ctx context.Context, n *node) (timeline.Stats, error) {
	keys, scanned, all, err := s.someKeys(ctx, n)
	if err != nil {
		return timeline.Stats{}, err
	}
	cmds, err := n.pipelined(ctx, false, func(pipe goredis.Pipeliner) {
		pipe.Info(ctx)
		pipe.DBSize(ctx)
		for _, key := range keys {
			pipe.LIndex(ctx, key, -1)
			pipe.LLen(ctx, key)
			pipe.MemoryUsage(ctx, key)
		}
	})
	if err != nil && err != goredis.Nil { // a key may have gone meanwhile
		return timeline.Stats{}, err
	}
	info := parseInfo(cmds[0].(*goredis.StringCmd).Val())
	scale := 1.0
	if !all && scanned > 0 {
		scale = float64(cmds[1].(*goredis.IntCmd).Val()) / float64(scanned)
	}
	var got timeline.Stats
	for at := 2; at+2 < len(cmds); at += 3 {
		got.Bytes += cmds[at+2].(*goredis.IntCmd).Val()
		text := cmds[at].(*goredis.StringCmd).Val()
		h, err := parseHeader(text)
		if err != nil || text[headerSize-stampSize:] != info["master_replid"] {
			continue // it takes room, and is not there for readers
		}
		got.Entries += cmds[at+1].(*goredis.IntCmd).Val() - 1
		if h.state == timeline.Live {
			got.Live++
		} else {
			got.Building++
		}
	}
	for _, count := range []*int64{&got.Live, &got.Building, &got.Entries, &got.Bytes} {
		*count = int64(float64(*count) * scale)
	}
	got.Evicted, _ = strconv.ParseInt(info["evicted_keys"], 10, 64)
	got.Expired, _ = strconv.ParseInt(info["expired_keys"], 10, 64)
	return got, nil
}

// someKeys lists some keys of timelines, and tells of how many keys of all kinds
// they were picked, and whether these are all. SCAN goes by hash: whatever it
// begins with is a fair sample.
func (s *Store) someKeys(ctx context.Context, n *node) (keys []string, scanned int, all bool, err error) {
	seen := map[string]bool{}
	cursor := uint64(0)
	for range sampleTurns {
		var some []string
		cmds, err := n.pipelined(ctx, false, func(pipe goredis.Pipeliner) { pipe.Scan(ctx, cursor, "", sampleSize) })
		if err != nil {
			return nil, 0, false, err
		}
		some, cursor = cmds[0].(*goredis.ScanCmd).Val()
		for _, key := range some {
			if !seen[key] && strings.HasPrefix(key, s.opts.Prefix+"t:{") {
				keys = append(keys, key)
			}
			seen[key] = true
		}
		if cursor == 0 || len(keys) >= sampleSize {
			break
		}
	}
	return keys, len(seen), cursor == 0, nil
}
