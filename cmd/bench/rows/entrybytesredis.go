package rows

import (
	"context"
	"errors"
	"fmt"
	"os"

	goredis "github.com/redis/go-redis/v9"

	"skein/cmd/bench/report"
	"skein/cmd/internal/capacity"
	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// entryBytesRedis is what a stored entry takes in Redis, with all that belongs to
// it.
type entryBytesRedis struct {
	timelines, entries int
}

func (entryBytesRedis) Names() []string { return []string{"bytes_redis"} }

func (r entryBytesRedis) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	dir, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	running, err := b.start(ctx, onRedis, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	server := running[servers.Redis]
	value, _, err := b.alternate(ctx, "bytes_redis", func() (float64, error) { return r.fill(ctx, server, b) }, nil)
	if err != nil {
		return nil, err
	}
	b.note("bytes_redis", capacity.TimelineBytes, map[string]float64{servers.Redis: value * float64(r.entries)})
	return []report.Row{{
		Name: "bytes_redis", Value: value, Unit: "bytes/entry", Better: report.Lower, Target: new(12.0),
		Setup: report.Setup{
			Users: r.timelines, LiveTimelines: r.timelines, PostBytes: len(text),
			How: fmt.Sprintf("what MEMORY USAGE of Redis %s says of timelines of %d entries, key and header included, "+
				"as rebuilt or when delivered to until the cap has cut, whichever is more", server.Version(), r.entries),
			LeftOut: "posts, follows, fragmentation, tables of Redis that grow by doubling",
		}.String(),
	}}, nil
}

// fill empties the server, makes timelines in it, and returns the bytes that an
// entry takes.
func (r entryBytesRedis) fill(ctx context.Context, server engine, b *Bench) (_ float64, err error) {
	look, err := client(server)
	if err != nil {
		return 0, err
	}
	defer look.Close()
	if err := look.FlushAll(ctx).Err(); err != nil {
		return 0, err
	}
	store, err := redis.Open(ctx, server.URL(), redis.Options{Cap: r.entries, Logger: b.Log})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	viewers, old := make([]feed.UserID, r.timelines), filler(r.entries)
	for i := range viewers {
		// Spread, as ids are where there are millions of users.
		viewers[i] = feed.UserID(1_000_000 + i*1_000)
		token, _, err := store.Create(ctx, viewers[i], 0)
		if err != nil {
			return 0, err
		}
		if _, err := store.Finish(ctx, viewers[i], token, old, 0, 1); err != nil {
			return 0, err
		}
	}
	rebuilt, err := r.perEntry(ctx, look, viewers)
	if err != nil {
		return 0, err
	}
	// A cut comes when a quarter too many are there.
	for n := range r.entries/4 + 1 {
		delivery := timeline.Delivery{Post: feed.PostID(r.entries + 1 + n), Viewers: viewers}
		if _, err := store.Deliver(ctx, []timeline.Delivery{delivery}); err != nil {
			return 0, err
		}
	}
	delivered, err := r.perEntry(ctx, look, viewers)
	return max(rebuilt, delivered), err
}

// perEntry asks Redis about every timeline, each of which has so many entries and a
// header.
func (r entryBytesRedis) perEntry(ctx context.Context, redis goredis.UniversalClient, viewers []feed.UserID) (float64, error) {
	answers, err := redis.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for _, viewer := range viewers {
			pipe.LLen(ctx, timelineKey(viewer))
			pipe.MemoryUsage(ctx, timelineKey(viewer), 0) // looks at all, does not sample
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	used := int64(0)
	for i := 0; i < len(answers); i += 2 {
		if n := answers[i].(*goredis.IntCmd).Val(); n != int64(r.entries)+1 {
			return 0, fmt.Errorf("the timeline of user %d has %d elements, not %d", viewers[i/2], n, r.entries+1)
		}
		used += answers[i+1].(*goredis.IntCmd).Val()
	}
	return float64(used) / float64(len(viewers)*r.entries), nil
}
