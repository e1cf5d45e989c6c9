package redis

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// openTime bounds Open, whatever its context says.
const openTime = 8 * time.Second

// Open returns a store in the Redis server of a URL,
// redis://user:password@host:port/database, or in the Redis Cluster of which
// redis-cluster://user:password@host:port,host:port/prefix names some servers (rediss://
// and rediss-cluster:// for TLS), and begins its log of deletes. A prefix in the URL, of
// letters, digits, - and _, comes before opts.Prefix, with a colon: a cluster has no
// databases that would keep installations apart. Its errors are one line
// that names the server and says what to do: when it is down, refuses the password,
// is older than 6.2, is a replica, or is of the other kind. Of a cluster most masters
// must answer. A server that may evict the wrong keys is warned of.
func Open(ctx context.Context, rawURL string, opts Options) (*Store, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	o, hosts, prefix, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	opts.Prefix = prefix + opts.Prefix
	silence()
	s := newStore(opts.settled(), o, hosts)
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	kind, names := "redis", o.Addr
	if s.cluster {
		kind, names = "redis cluster", strings.Join(hosts, ",")
		err = s.prepareCluster(ctx)
	} else {
		err = s.prepareSingle(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("%s at %s: %w", kind, names, err)
	}
	return s, nil
}

// namePrefix is what a URL may say of a prefix. A number would be a database.
var namePrefix = regexp.MustCompile(`^[A-Za-z_-][0-9A-Za-z_-]*$`)

// parseURL reads a URL; hosts are those of a cluster, nil for a server.
func parseURL(rawURL string) (o *goredis.Options, hosts []string, prefix string, err error) {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	like := "redis://host:6379/0"
	if kind, ok := strings.CutSuffix(scheme, "-cluster"); ok {
		like = "redis-cluster://host:6379,host:6379/prefix"
		at := strings.LastIndexByte(rest, '@') + 1
		list, query, _ := strings.Cut(rest[at:], "?")
		if before, name, _ := strings.Cut(list, "/"); namePrefix.MatchString(name) {
			list, prefix = before, name+":"
		}
		for host := range strings.SplitSeq(strings.TrimSuffix(list, "/"), ",") {
			if o, err = goredis.ParseURL(kind + "://" + rest[:at] + host + "?" + query); err != nil {
				break
			}
			hosts = append(hosts, o.Addr)
		}
		if err == nil && o.DB != 0 {
			err = errors.New("a cluster has no databases")
		}
	} else {
		o, err = goredis.ParseURL(rawURL)
	}
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		err = wrong.Err // without the URL, which may hold a password
	}
	if err != nil {
		return nil, nil, "", fmt.Errorf("the URL of Redis is malformed (%w); it should be like %s", err, like)
	}
	return o, hosts, prefix, nil
}

// silence stops the driver from writing to standard error what it also returns.
var silence = sync.OnceFunc(func() { goredis.SetLogger(silent{}) })

type silent struct{}

// Printf implements the driver's logger.
func (silent) Printf(context.Context, string, ...any) {}

// prepareSingle prepares the one server and begins the log of deletes.
func (s *Store) prepareSingle(ctx context.Context) error {
	n := s.nodeAt(s.options.Addr)
	s.view.Store(single(n))
	err := n.prepare(ctx)
	if err == nil {
		s.advise(ctx, n)
		_, _, err = s.appendDeletes(ctx, 0, nil)
	}
	return explain(err)
}

// prepareCluster learns who is master of what, and prepares the masters that answer.
// Others are prepared when they are first used, and logs of deletes begun when they
// are first read.
func (s *Store) prepareCluster(ctx context.Context) error {
	seeds := s.seedNodes()
	if err := refused(ctx, seeds); err != nil {
		return err
	}
	v, err := s.load(ctx, seeds)
	if err != nil {
		return explain(err)
	}
	s.view.Store(v)
	s.prune(v)
	return each(len(v.masters), func(i int) error {
		n := v.masters[i]
		err := n.prepare(ctx)
		if answered(err) {
			s.advise(ctx, n)
			return explain(err)
		}
		s.opts.Logger.Warn("a master of the redis cluster does not answer; timelines in its slots cannot be read until it does, or its replica is promoted",
			"server", n.address(), "err", err)
		return nil
	})
}

// refused returns why the first server that answers cannot be asked about a cluster;
// nil if it can, or nobody answers.
func refused(ctx context.Context, seeds []*node) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	for _, n := range seeds {
		err := n.client.ClusterInfo(ctx).Err()
		if err != nil && answered(err) {
			if strings.Contains(err.Error(), "cluster support disabled") {
				return errors.New("it is no cluster; use a redis:// URL")
			}
			return explain(err)
		}
		if err == nil {
			return nil
		}
	}
	return nil
}

// check refuses a server that cannot hold timelines.
func (s *Store) check(info map[string]string) error {
	if version := info["redis_version"]; !atLeast(version, 6, 2) {
		return fmt.Errorf("its version is %s; use 6.2 or newer", version)
	}
	if info["cluster_enabled"] == "1" && !s.cluster {
		return errors.New("it is part of a cluster; use a redis-cluster:// URL")
	}
	if info["role"] != "master" {
		return fmt.Errorf("it is a replica; use its master, %s:%s", info["master_host"], info["master_port"])
	}
	return nil
}

// advise warns of a server that holds timelines badly. No setting warned of makes a
// page wrong.
func (s *Store) advise(ctx context.Context, n *node) {
	text, err := n.client.Info(ctx, "memory").Result()
	if err != nil {
		return
	}
	info := parseInfo(text)
	switch policy := info["maxmemory_policy"]; {
	case info["maxmemory"] == "0":
		s.opts.Logger.Info("redis has no maxmemory: it grows until the machine ends it; set maxmemory, and maxmemory-policy volatile-ttl")
	case policy != "volatile-ttl":
		s.opts.Logger.Warn("redis evicts the wrong timelines, or none: deliveries count as use, so those of readers "+
			"go before those of the absent; set maxmemory-policy to volatile-ttl", "maxmemory-policy", policy)
	}
	if !s.cluster {
		return
	}
	if full, err := n.client.ConfigGet(ctx, "cluster-require-full-coverage").Result(); err == nil && full["cluster-require-full-coverage"] == "yes" {
		s.opts.Logger.Warn("one master that is away stops the whole redis cluster: set cluster-require-full-coverage to no", "server", n.address())
	}
}

// explain says what to do about an error at the start.
func explain(err error) error {
	if err == nil {
		return nil
	}
	advice := "start it, or correct the address"
	for prefix, better := range map[string]string{
		"WRONGPASS": "correct the user and password in the URL",
		"NOAUTH":    "it asks for a password: put it into the URL",
		"invalid":   "correct the password in the URL",
		"NOPERM":    "let the user run all commands on its keys, SCRIPT, INFO and WAIT included",
		"LOADING":   "it is loading its snapshot: try again when it has",
		"OOM":       "it has no memory left: raise maxmemory, and set maxmemory-policy to volatile-ttl",
		"DB index":  "correct the number of the database in the URL",
	} {
		if goredis.HasErrorPrefix(err, prefix) {
			advice = better
		}
	}
	return fmt.Errorf("%w; %s", err, advice)
}

// parseInfo reads what INFO answers: lines of name:value.
func parseInfo(info string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// atLeast compares a version like 7.0.15.
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}
