package rows

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"skein/cmd/bench/report"
	"skein/deploy/local/servers"
	"skein/feed"
)

// pushes is the ceiling of deliveries_redis: redis-benchmark, and a Redis of its
// own with lists like those of the timelines.
type pushes struct {
	server    *servers.Server
	benchmark servers.Program
	keys      int
}

const (
	// pushPipeline and pushClients are as timeline/redis has them.
	pushPipeline = 500
	pushClients  = 4
)

// pushes starts the Redis and fills it with keys lists, as long as the timelines of
// the first users are.
func (s *stores) pushes(ctx context.Context, keys int, lengths []int) (p *pushes, err error) {
	p = &pushes{keys: keys}
	if p.benchmark, err = servers.Tool(ctx, "", "redis-benchmark"); err != nil {
		return nil, err
	}
	if p.server, err = servers.StartRedis(ctx, "", filepath.Join(s.dir, "redis-benchmark")); err != nil {
		return nil, err
	}
	if err := p.fill(ctx, s, len(lengths)); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *pushes) fill(ctx context.Context, s *stores, sources int) error {
	from, err := client(s.servers[servers.Redis])
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := client(p.server)
	if err != nil {
		return err
	}
	defer to.Close()
	names := make([]string, sources)
	for i := range names {
		names[i] = pushKey(i)
		list, err := from.Dump(ctx, timelineKey(feed.UserID(i+1))).Result()
		if err != nil {
			return err
		}
		if err := to.Restore(ctx, names[i], 0, list).Err(); err != nil {
			return err
		}
	}
	return copyKeys(ctx, to, names, p.keys-sources, func(i int) string { return pushKey(sources + i) })
}

// pushKey is what redis-benchmark puts in the place of randomKey.
func pushKey(i int) string { return fmt.Sprintf("%012d", i) }

const randomKey = "__rand_int__"

// push pushes n entries and returns how many a second the tool says that were.
func (p *pushes) push(ctx context.Context, n int64) (float64, error) {
	at, err := url.Parse(p.server.URL())
	if err != nil {
		return 0, err
	}
	out, err := p.benchmark.Command(ctx, "-h", at.Hostname(), "-p", at.Port(), "--csv",
		"-n", strconv.FormatInt(n, 10), "-r", strconv.Itoa(p.keys), "-P", strconv.Itoa(pushPipeline), "-c", strconv.Itoa(pushClients),
		"lpushx", randomKey, "8 bytes.").Output()
	if err != nil {
		return 0, fmt.Errorf("redis-benchmark: %w", err)
	}
	return rateOf(string(out))
}

// rateOf reads the calls a second out of the last line of redis-benchmark's CSV.
func rateOf(csv string) (float64, error) {
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	fields := strings.Split(lines[len(lines)-1], ",")
	if len(fields) < 2 {
		return 0, fmt.Errorf("redis-benchmark said %q", csv)
	}
	return strconv.ParseFloat(strings.Trim(fields[1], `"`), 64)
}

func (p *pushes) name() string {
	return fmt.Sprintf("redis-benchmark %s, LPUSHX to %s lists as long, without cuts, %d a pipeline, %d clients",
		p.server.Version(), report.Count(p.keys), pushPipeline, pushClients)
}

func (p *pushes) close() error { return running{"": p.server}.stop() }
