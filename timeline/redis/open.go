package redis

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// openTime bounds Open, whatever its context says.
const openTime = 8 * time.Second

// Open returns a store in the Redis server of a URL,
// redis://user:password@host:port/database (rediss:// for TLS), and begins its
// log of deletes. Its errors are one line that names the server and says what to
// do: when it is down, refuses the password, is older than 6.2, is a replica, or
// is part of a cluster. A server that may evict the wrong keys is warned of.
func Open(ctx context.Context, rawURL string, opts Options) (*Store, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	o, err := goredis.ParseURL(rawURL)
	if err != nil {
		if wrong, ok := errors.AsType[*url.Error](err); ok {
			err = wrong.Err // without the URL, which may hold a password
		}
		return nil, fmt.Errorf("the URL of Redis is malformed (%w); it should be like redis://host:6379/0", err)
	}
	silence()
	s := newStore(opts.settled(), goredis.NewClient(clientOptions(o)))
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("redis at %s: %w", o.Addr, err)
	}
	return s, nil
}

// silence stops the driver from writing to standard error what it also returns.
var silence = sync.OnceFunc(func() { goredis.SetLogger(silent{}) })

type silent struct{}

// Printf implements the driver's logger.
func (silent) Printf(context.Context, string, ...any) {}

// prepare checks every master, loads the scripts and begins the logs of deletes.
func (s *Store) prepare(ctx context.Context) error {
	return s.each(ctx, func(ctx context.Context, n *node) error {
		info, err := n.client.Info(ctx).Result()
		if err != nil {
			return explain(err)
		}
		if err := s.check(parseInfo(info)); err != nil {
			return err
		}
		if n.mu.barrier, err = parseBarrier(info); err != nil {
			return err
		}
		if err := load(ctx, n.client); err != nil {
			return explain(err)
		}
		_, err = n.appendDeletes(ctx, nil)
		return explain(err)
	})
}

// check refuses a server that cannot hold timelines, and warns of one that holds
// them badly. Neither setting warned of makes a page wrong.
func (s *Store) check(info map[string]string) error {
	if version := info["redis_version"]; !atLeast(version, 6, 2) {
		return fmt.Errorf("its version is %s; use 6.2 or newer", version)
	}
	if info["cluster_enabled"] == "1" {
		return errors.New("it is part of a cluster; use a redis-cluster:// URL")
	}
	if info["role"] != "master" {
		return fmt.Errorf("it is a replica; use its master, %s:%s", info["master_host"], info["master_port"])
	}
	switch policy := info["maxmemory_policy"]; {
	case info["maxmemory"] == "0":
		s.opts.Logger.Info("redis has no maxmemory: it grows until the machine ends it; set maxmemory, and maxmemory-policy volatile-ttl")
	case policy != "volatile-ttl":
		s.opts.Logger.Warn("redis evicts the wrong timelines, or none: deliveries count as use, so those of readers "+
			"go before those of the absent; set maxmemory-policy to volatile-ttl", "maxmemory-policy", policy)
	}
	return nil
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
