package rows

import (
	"context"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
)

// client returns a driver's client of a Redis.
func client(server *servers.Server) (*goredis.Client, error) {
	o, err := goredis.ParseURL(server.URL())
	if err != nil {
		return nil, err
	}
	return goredis.NewClient(o), nil
}

// timelineKey names a timeline as timeline/redis does; a row that looks at its
// timelines afterwards finds out if that changes.
func timelineKey(viewer feed.UserID) string {
	return "t:{" + strconv.FormatInt(int64(viewer), 36) + "}"
}

// copyLive gives viewers first to last live timelines in Redis, of so many entries
// in turn, lengths up to the cap and a quarter. The first of each length is made as
// makeLive does, and Redis copies it for the others: a minute less for a million.
func (s *stores) copyLive(ctx context.Context, first, last feed.UserID, lengths ...int) error {
	sources := make([]string, len(lengths))
	for i, length := range lengths {
		viewer := first + feed.UserID(i)
		sources[i] = timelineKey(viewer)
		if err := s.makeLive(ctx, viewer, viewer, min(length, timelineCap)); err != nil {
			return err
		}
		var more []timeline.Delivery
		for post := timelineCap + 1; post <= length; post++ {
			more = append(more, timeline.Delivery{Post: feed.PostID(post), Viewers: []feed.UserID{viewer}})
		}
		if _, err := s.Timelines.Deliver(ctx, more); err != nil {
			return err
		}
	}
	redis, err := client(s.servers[servers.Redis])
	if err != nil {
		return err
	}
	defer redis.Close()
	rest := int(last-first) + 1 - len(lengths)
	return copyKeys(ctx, redis, sources, rest, func(i int) string { return timelineKey(first + feed.UserID(len(lengths)+i)) })
}

// timelineCap is that of timelines when nothing is said.
const timelineCap = 800

// copied is how many keys a pipeline copies.
const copied = 500

// copyKeys makes n keys, named by name, copies of sources in turn.
func copyKeys(ctx context.Context, redis *goredis.Client, sources []string, n int, name func(i int) string) error {
	return eachOf(ctx, (n+copied-1)/copied, 4, func(ctx context.Context, part int) error {
		_, err := redis.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for i := part * copied; i < min(n, (part+1)*copied); i++ {
				pipe.Copy(ctx, sources[i%len(sources)], name(i), 0, false)
			}
			return nil
		})
		return err
	})
}
