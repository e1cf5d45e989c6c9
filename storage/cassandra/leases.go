package cassandra

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
)

const (
	// leaseTime is how far ahead of Cassandra's clock a grant ends.
	leaseTime = 5 * time.Second
	// leaseTries bounds how many nodes a grant looks at.
	leaseTries = 64
)

// Grant implements feed.Granter. It takes a node whose last interval has ended, of
// those of this process's shard if it can, and lengthens the lease under the condition
// that nobody else has. The interval begins where the last one ended at the earliest,
// so no two overlap, whatever the clocks say.
func (s *Store) Grant(ctx context.Context) (feed.Grant, error) {
	const doing = "lease time for post ids"
	now, err := s.askClock(ctx)
	if err != nil {
		return feed.Grant{}, translate(doing, err)
	}
	for try := range leaseTries {
		node := rand.IntN(feed.Nodes)
		if try < leaseTries/2 {
			node = node/shards*shards + s.home
		}
		var old *time.Time
		err := s.readSerial(ctx, `SELECT until FROM leases WHERE node = ?`, int16(node)).Scan(&old)
		if err != nil && !errors.Is(err, gocql.ErrNotFound) {
			return feed.Grant{}, translate(doing, err)
		}
		from := now
		if old != nil {
			if old.After(now) {
				continue
			}
			from = *old
		}
		from = maxTime(from, now)
		until := from.Add(leaseTime).Truncate(time.Millisecond) // as the column keeps it
		applied, _, err := s.decide(ctx, `UPDATE leases SET until = ? WHERE node = ? IF until = ?`, until, int16(node), old)
		if err != nil {
			return feed.Grant{}, translate(doing, err)
		}
		if applied {
			return feed.Grant{Node: uint16(node), From: from, Until: until}, nil
		}
	}
	return feed.Grant{}, feed.Exhausted(leaseTime, "nearly every node is leased; wait, and look whether Cassandra's clocks were set back")
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
