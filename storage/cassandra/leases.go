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

// told is what Cassandra's clock said, and this process's then.
type told struct{ storage, here time.Time }

// Now implements storage.Posts: Cassandra's time when it was last asked, and what has
// passed since, by this process's clock. Of its two ways to tell what has passed, the
// later counts: a clock that is set back, and one that stood still while the machine
// slept, must not make ids look young.
func (s *Store) Now() time.Time {
	t, here := s.told.Load(), s.opts.Clock()
	return t.storage.Add(max(here.Sub(t.here), here.Round(0).Sub(t.here.Round(0))))
}

// askClock asks a node for the time, and corrects Now by as much as is sure to be
// wrong. Nodes agree within policy.MaxSkew, as they must.
func (s *Store) askClock(ctx context.Context) (time.Time, error) {
	var server time.Time
	before := s.Now()
	if err := s.read(ctx, `SELECT toTimestamp(now()) FROM system.local`).Consistency(gocql.One).Scan(&server); err != nil {
		return time.Time{}, err
	}
	after, here := s.Now(), s.opts.Clock()
	// The server answered between the two, and cut off less than a millisecond.
	wrong := max(server.Sub(after), 0) - max(before.Sub(server.Add(time.Millisecond)), 0)
	s.told.Store(&told{after.Add(wrong), here})
	return server, nil
}
