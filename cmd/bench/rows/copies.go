package rows

import (
	"context"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
)

// client returns a driver's client of a Redis or a Redis Cluster.
func client(server engine) (goredis.UniversalClient, error) {
	if kind, hosts, _ := strings.Cut(server.URL(), "://"); kind == servers.RedisCluster {
		return goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: strings.Split(hosts, ",")}), nil
	}
	o, err := goredis.ParseURL(server.URL())
	if err != nil {
		return nil, err
	}
	return goredis.NewClient(o), nil
}

// masterOf is the server that has a key.
func masterOf(ctx context.Context, redis goredis.UniversalClient, key string) (string, error) {
	cluster, ok := redis.(*goredis.ClusterClient)
	if !ok {
		return "", nil
	}
	master, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return "", err
	}
	return master.Options().Addr, nil
}

// timelineKey names a timeline as timeline/redis does; a row that looks at its
// timelines afterwards finds out if that changes.
func timelineKey(viewer feed.UserID) string {
	return "t:{" + strconv.FormatInt(int64(viewer), 36) + "}"
}

// original is where a timeline is, whose stamp it bears, and how long it is: those
// that have it in common can be copies of one.
type original struct {
	master string
	length int
}

// copyLive gives viewers first to last live timelines in Redis, of so many entries
// in turn, lengths up to the cap and a quarter. The first of each length on each
// server is made as makeLive does, and the others are copies: a minute less for a
// million. It returns a list of each length as Redis dumps it.
func (s *stores) copyLive(ctx context.Context, first, last feed.UserID, lengths ...int) (lists []string, err error) {
	redis, err := client(s.servers[s.on.redis()])
	if err != nil {
		return nil, err
	}
	defer redis.Close()
	lists = make([]string, len(lengths))
	dumps := map[original]string{}
	var copies []copied
	for viewer := first; viewer <= last; viewer++ {
		key, turn := timelineKey(viewer), int(viewer-first)%len(lengths)
		master, err := masterOf(ctx, redis, key)
		if err != nil {
			return nil, err
		}
		of := original{master, lengths[turn]}
		if _, ok := dumps[of]; ok {
			copies = append(copies, copied{key, dumps[of]})
			continue
		}
		if err := s.makeFull(ctx, viewer, of.length); err != nil {
			return nil, err
		}
		if dumps[of], err = redis.Dump(ctx, key).Result(); err != nil {
			return nil, err
		}
		lists[turn] = dumps[of]
	}
	return lists, restore(ctx, redis, copies)
}

// makeFull is makeLive for one viewer, and goes on beyond the cap.
func (s *stores) makeFull(ctx context.Context, viewer feed.UserID, length int) error {
	if err := s.makeLive(ctx, viewer, viewer, min(length, timelineCap)); err != nil {
		return err
	}
	var more []timeline.Delivery
	for post := timelineCap + 1; post <= length; post++ {
		more = append(more, timeline.Delivery{Post: feed.PostID(post), Viewers: []feed.UserID{viewer}})
	}
	_, err := s.Timelines.Deliver(ctx, more)
	return err
}

// timelineCap is that of timelines when nothing is said.
const timelineCap = 800

// copied is a key, and what is in it as Redis dumps it.
type copied struct{ key, dump string }

// copiedAtOnce is how many keys a pipeline makes.
const copiedAtOnce = 500

// restore makes keys of which there is none yet.
func restore(ctx context.Context, redis goredis.UniversalClient, all []copied) error {
	return eachOf(ctx, (len(all)+copiedAtOnce-1)/copiedAtOnce, 4, func(ctx context.Context, part int) error {
		_, err := redis.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for _, c := range all[part*copiedAtOnce : min(len(all), (part+1)*copiedAtOnce)] {
				pipe.Restore(ctx, c.key, 0, c.dump)
			}
			return nil
		})
		return err
	})
}
