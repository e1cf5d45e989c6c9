package cassandra

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
)

// clockPatience is for how long a node is asked for the time before another one is,
// for four times as long, and so on, clockTries times.
const (
	clockPatience = 300 * time.Millisecond
	clockTries    = 3
)

// clock is what this process knows of Cassandra's.
type clock struct {
	told atomic.Pointer[told]
	// asking is held by who asks, for all who wait. begun is how many questions were
	// begun, answered the last of them that had an answer, and answer is that.
	asking   turn
	begun    atomic.Int64
	answered int64
	answer   time.Time
}

// told is what Cassandra's clock said, and this process's then.
type told struct{ storage, here time.Time }

// Now implements storage.Posts: Cassandra's time when it was last asked, and what has
// passed since, by this process's clock. Of its two ways to tell what has passed, the
// later counts: a clock that is set back, and one that stood still while the machine
// slept, must not make ids look young. Both may stand still, if the machine is virtual,
// and the one may be set ahead: what must not go wrong then asks.
func (s *Store) Now() time.Time {
	t, here := s.clock.told.Load(), s.opts.Clock()
	return t.storage.Add(max(here.Sub(t.here), here.Round(0).Sub(t.here.Round(0))))
}

// askClock returns a time that a node told after the call began: so all that its caller
// did before is older, however long it slept meanwhile. Those who wait at the same time
// have one answer, to a question that was begun after they came.
func (s *Store) askClock(ctx context.Context) (time.Time, error) {
	c := &s.clock
	came := c.begun.Load()
	if err := c.asking.take(ctx); err != nil {
		return time.Time{}, err
	}
	defer c.asking.give()
	if c.answered > came {
		return c.answer, nil
	}
	question := c.begun.Add(1)
	server, err := s.askNodes(ctx)
	if err == nil {
		c.answered, c.answer = question, server
	}
	return server, err
}

// askNodes asks a node for the time, and another if that takes long: nobody's post waits
// for one that hangs.
func (s *Store) askNodes(ctx context.Context) (server time.Time, err error) {
	patience := clockPatience
	for range clockTries {
		asking, cancel := context.WithTimeout(ctx, patience)
		server, err = s.askNode(asking)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
		patience *= 4
	}
	return server, err
}

// askNode asks a node for the time, and corrects Now by as much as is sure to be wrong.
// Nodes agree within policy.MaxSkew, as they must.
func (s *Store) askNode(ctx context.Context) (time.Time, error) {
	var server time.Time
	before := s.Now()
	if err := s.read(ctx, `SELECT toTimestamp(now()) FROM system.local`).Consistency(gocql.One).Scan(&server); err != nil {
		return time.Time{}, err
	}
	after, here := s.Now(), s.opts.Clock()
	// The server answered between the two, and cut off less than a millisecond.
	wrong := max(server.Sub(after), 0) - max(before.Sub(server.Add(time.Millisecond)), 0)
	s.clock.told.Store(&told{after.Add(wrong), here})
	return server, nil
}
