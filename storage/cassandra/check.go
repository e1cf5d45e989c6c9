package cassandra

import (
	"context"
	"errors"
	"fmt"
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
	d, err := s.durability(ctx)
	if err != nil {
		return err
	}
	return s.judge(d)
}

// durability is what W2 rests on.
type durability struct {
	durable bool   // the keyspace's writes go to the commit log
	factor  int    // copies
	nodes   int    // of the cluster
	sync    string // when the commit log goes to the disk; "" if the node does not tell
}

func (s *Store) durability(ctx context.Context) (d durability, err error) {
	durable, replication, err := s.settings.replication(ctx, s.session)
	if err != nil {
		return d, explain(s.settings, err)
	}
	peers := s.read(ctx, `SELECT peer FROM system.peers`).Consistency(gocql.One).Iter()
	d.durable, d.nodes = durable, 1+peers.NumRows()
	if err := peers.Close(); err != nil {
		return d, explain(s.settings, err)
	}
	if d.factor, _, err = s.settings.quorum(replication); err != nil {
		return d, err
	}
	err = s.read(ctx, `SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'`).Consistency(gocql.One).Scan(&d.sync)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return d, explain(s.settings, err)
	}
	return d, nil
}

// judge refuses what is weak, or warns of it.
func (s *Store) judge(d durability) error {
	weak := d.weaknesses()
	switch {
	case len(weak) == 0:
		s.opts.Logger.Info("Cassandra keeps acknowledged posts on several nodes", "nodes", d.nodes, "consistency", s.settings.consistency.String())
	case d.nodes > 1 && !s.opts.AllowWeak:
		return fmt.Errorf("%s may lose acknowledged posts: %s; use a replication factor of 3, or allow weak settings", engine, strings.Join(weak, ", "))
	default:
		s.opts.Logger.Warn("CASSANDRA MAY LOSE ACKNOWLEDGED POSTS", "nodes", d.nodes, "why", strings.Join(weak, ", "))
	}
	return nil
}

func (d durability) weaknesses() (weak []string) {
	if !d.durable {
		weak = append(weak, "the keyspace has durable_writes = false")
	}
	if d.factor < 3 {
		weak = append(weak, fmt.Sprintf("the keyspace has a replication factor of %d", d.factor))
	}
	// With several copies a machine that stops takes no acknowledged write along.
	if d.sync == "periodic" && d.factor < 3 {
		weak = append(weak, "commitlog_sync is periodic")
	}
	return weak
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
