package cassandra

import (
	"context"
	"slices"
	"sync"
	"time"

	"skein/feed"
)

const (
	// presenceTime is how long after its last word a process counts as alive, by
	// Cassandra's clocks. An event of one that is not is anybody's.
	presenceTime = 10 * time.Second
	// presenceEvery is how often it says so, aliveEvery how often it asks.
	presenceEvery = 3 * time.Second
	aliveEvery    = time.Second
)

// presence is what a process said of itself, and knows of others.
type presence struct {
	mu    sync.Mutex
	said  time.Time
	spans map[int64]time.Time // registered, and when
	alive []int64             // ascending
	asked time.Time
}

// announce makes sure that whoever looks for events finds those of a span, and knows
// that this process is alive: before its first event, and every few seconds.
func (s *Store) announce(ctx context.Context, id feed.PostID) error {
	p, now, span := &s.presence, time.Now(), spanOf(bucketOf(id))
	p.mu.Lock()
	said := now.Sub(p.said) < presenceEvery
	_, known := p.spans[span]
	p.mu.Unlock()
	if !said {
		if err := s.sayPresent(ctx); err != nil {
			return err
		}
	}
	if known {
		return nil
	}
	if err := s.write(ctx, `INSERT INTO outbox_spans (one, span) VALUES (0, ?) USING TIMESTAMP ?`, span, stampOf(id)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spans) >= 16 || p.spans == nil { // old ones are not asked for again
		p.spans = map[int64]time.Time{}
	}
	p.spans[span] = now
	return nil
}

func (s *Store) sayPresent(ctx context.Context) error {
	now := time.Now()
	err := s.write(ctx, `INSERT INTO relays (one, origin) VALUES (0, ?) USING TTL ?`, s.origin, int(presenceTime/time.Second))
	if err != nil {
		return err
	}
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	s.presence.said = now
	return nil
}

// leave takes it back. If that fails, others notice later.
func (s *Store) leave(ctx context.Context) {
	s.presence.mu.Lock()
	silent := s.presence.said.IsZero()
	s.presence.mu.Unlock()
	if silent {
		return
	}
	if err := s.write(ctx, `DELETE FROM relays WHERE one = 0 AND origin = ?`, s.origin); err != nil {
		s.opts.Logger.Info("cannot tell the other relays that this one ends; they will notice", "err", err)
	}
}

// others returns the processes that are alive, this one among them, at most aliveEvery
// old.
func (s *Store) relaysAlive(ctx context.Context) ([]int64, error) {
	p, now := &s.presence, time.Now()
	p.mu.Lock()
	alive, fresh := p.alive, now.Sub(p.asked) < aliveEvery
	p.mu.Unlock()
	if fresh {
		return alive, nil
	}
	alive = []int64{s.origin}
	var origin int64
	err := each(s.read(ctx, `SELECT origin FROM relays WHERE one = 0`), []any{&origin}, func() { alive = append(alive, origin) })
	if err != nil {
		return nil, err
	}
	slices.Sort(alive)
	alive = slices.Compact(alive)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive, p.asked = alive, now
	return alive, nil
}

// heir reports whether this process takes the events in a shard whose own processes
// are dead. Processes that see the same others agree on one; else two may, or for a
// moment none.
func (s *Store) heir(shard int, alive []int64) bool { return alive[shard%len(alive)] == s.origin }
