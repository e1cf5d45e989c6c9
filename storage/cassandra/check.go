package cassandra

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"

	"skein/feed/policy"
)

// CheckDurability asks for the settings that W2 rests on: copies of the keyspace, and
// when the node that answers writes to its disk. Those that may lose an acknowledged
// post are an error that names them, or a warning with Options.AllowWeak or on a
// cluster of one node. Open calls it; settings may change later.
func (s *Store) CheckDurability(ctx context.Context) error {
	weak, nodes, err := s.weaknesses(ctx)
	if err != nil {
		return err
	}
	switch {
	case len(weak) == 0:
		s.opts.Logger.Info("Cassandra keeps acknowledged posts on several nodes", "nodes", nodes, "consistency", s.settings.consistency.String())
	case nodes > 1 && !s.opts.AllowWeak:
		return fmt.Errorf("%s may lose acknowledged posts: %s; use a replication factor of 3, or allow weak settings", engine, strings.Join(weak, ", "))
	default:
		s.opts.Logger.Warn("CASSANDRA MAY LOSE ACKNOWLEDGED POSTS", "nodes", nodes, "why", strings.Join(weak, ", "))
	}
	return nil
}

func (s *Store) weaknesses(ctx context.Context) (weak []string, nodes int, err error) {
	var durable bool
	var replication map[string]string
	err = s.read(ctx, `SELECT durable_writes, replication FROM system_schema.keyspaces WHERE keyspace_name = ?`, s.settings.keyspace).
		Consistency(gocql.One).Scan(&durable, &replication)
	if err != nil {
		return nil, 0, explain(s.settings, err)
	}
	peers := s.read(ctx, `SELECT peer FROM system.peers`).Consistency(gocql.One).Iter()
	nodes = 1 + peers.NumRows()
	if err := peers.Close(); err != nil {
		return nil, 0, explain(s.settings, err)
	}
	if !durable {
		weak = append(weak, "the keyspace has durable_writes = false")
	}
	factor, err := s.factor(replication)
	if err != nil {
		return nil, 0, err
	}
	if factor < 3 {
		weak = append(weak, fmt.Sprintf("the keyspace has a replication factor of %d", factor))
	}
	var sync string
	err = s.read(ctx, `SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'`).Consistency(gocql.One).Scan(&sync)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return nil, 0, explain(s.settings, err)
	}
	// With several copies a machine that stops takes no acknowledged write along.
	if sync == "periodic" && factor < 3 {
		weak = append(weak, "commitlog_sync is periodic")
	}
	return weak, nodes, nil
}

// factor is how many copies a write at our consistency is about.
func (s *Store) factor(replication map[string]string) (int, error) {
	least, found := 0, 0
	for name, value := range replication {
		n, err := strconv.Atoi(strings.SplitN(value, "/", 2)[0])
		if name == "class" || err != nil {
			continue
		}
		if name == "replication_factor" || name == s.settings.datacenter {
			return n, nil
		}
		if found++; found == 1 || n < least {
			least = n
		}
	}
	local := s.settings.consistency == gocql.LocalQuorum
	switch {
	case found == 0:
		return 0, fmt.Errorf("%s: keyspace %q has no replication (alter it)", engine, s.settings.keyspace)
	case local && s.settings.datacenter != "":
		return 0, fmt.Errorf("%s: keyspace %q has no copy in data centre %q (correct the URL's datacenter, or alter the keyspace)", engine, s.settings.keyspace, s.settings.datacenter)
	case local && found > 1:
		return 0, fmt.Errorf("%s: keyspace %q is in %d data centres; say with ?datacenter= in which one all processes are, or ?consistency=quorum", engine, s.settings.keyspace, found)
	}
	return least, nil
}

// readClock asks for Cassandra's time, which is this process's from then on. That its own
// clock is another does no harm, but will be news to somebody.
func (s *Store) readClock(ctx context.Context) error {
	own := s.opts.Clock()
	if _, err := s.askClock(ctx); err != nil {
		return explain(s.settings, err)
	}
	if off := s.Now().Sub(own); off.Abs() > policy.MaxSkew {
		s.opts.Logger.Warn("the clocks of this machine and of Cassandra are apart; going by Cassandra's (synchronise them, with NTP say)", "apart", off.Round(time.Millisecond))
	}
	return nil
}
