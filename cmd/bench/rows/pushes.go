package rows

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"skein/cmd/bench/report"
	"skein/deploy/local/servers"
)

// pushes is the ceiling of deliveries_redis and deliveries_cluster: redis-benchmark,
// and a Redis, or a Redis Cluster, of its own with lists like those of the timelines.
type pushes struct {
	server    engine
	benchmark servers.Program
	// lists is how many there are under each of tags, the hash tags of a cluster.
	lists int
	tags  []string
}

const (
	// pushPipeline and pushClients, of each server, are as timeline/redis has them.
	pushPipeline = 500
	pushClients  = 4

	// clusterMasters is how many package servers starts.
	clusterMasters = 3

	// What redis-benchmark puts a number in the place of, and in a cluster a hash tag.
	randomKey = "__rand_int__"
	randomTag = "{tag}"
)

// pushes starts the servers and fills them with about as many keys, copies of lists in
// turn.
func (s *stores) pushes(ctx context.Context, keys int, lists []string) (p *pushes, err error) {
	p = &pushes{}
	if p.benchmark, err = servers.Tool(ctx, "", "redis-benchmark"); err != nil {
		return nil, err
	}
	if p.server, err = s.bench.startOne(ctx, s.on.redis(), filepath.Join(s.dir, "redis-benchmark")); err != nil {
		return nil, err
	}
	if err := p.fill(ctx, keys, lists); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *pushes) fill(ctx context.Context, keys int, lists []string) error {
	redis, err := client(p.server)
	if err != nil {
		return err
	}
	defer redis.Close()
	p.tags = []string{""}
	if cluster, ok := redis.(*goredis.ClusterClient); ok {
		if p.tags, err = p.drawTags(ctx, cluster); err != nil {
			return err
		}
	}
	p.lists = (keys + len(p.tags) - 1) / len(p.tags)
	var all []copied
	for _, tag := range p.tags {
		for i := range p.lists {
			all = append(all, copied{tag + fmt.Sprintf("%012d", i), lists[len(all)%len(lists)]})
		}
	}
	return restore(ctx, redis, all)
}

// push pushes n entries and returns how many a second the tool says that were.
func (p *pushes) push(ctx context.Context, n int64) (float64, error) {
	key, clients := randomKey, pushClients
	if p.cluster() {
		key, clients = randomTag+randomKey, clusterMasters*pushClients
	}
	out, err := p.run(ctx, n, "-r", strconv.Itoa(p.lists), "-P", strconv.Itoa(pushPipeline), "-c", strconv.Itoa(clients),
		"lpushx", key, "8 bytes.")
	if err != nil {
		return 0, err
	}
	return rateOf(out)
}

// run has the tool send n commands.
func (p *pushes) run(ctx context.Context, n int64, args ...string) (csv string, err error) {
	at, err := url.Parse(strings.Split(p.server.URL(), ",")[0]) // one server of a cluster knows the others
	if err != nil {
		return "", err
	}
	head := []string{"-h", at.Hostname(), "-p", at.Port(), "--csv", "-n", strconv.FormatInt(n, 10)}
	if p.cluster() {
		head = append(head, "--cluster")
	}
	out, err := p.benchmark.Command(ctx, append(head, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("redis-benchmark: %w", err)
	}
	return string(out), nil
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
	of := ""
	if p.cluster() {
		of = fmt.Sprintf(" --cluster, %d masters", clusterMasters)
	}
	return fmt.Sprintf("redis-benchmark %s%s, LPUSHX to %s lists as long, without cuts, %d a pipeline, %d clients a server",
		p.server.Version(), of, report.Count(len(p.tags)*p.lists), pushPipeline, pushClients)
}

func (p *pushes) cluster() bool { return strings.HasPrefix(p.server.URL(), servers.RedisCluster) }

func (p *pushes) close() error { return running{"": p.server}.stop() }
