package cassandra

import (
	"context"
	"slices"
	"sync"
	"time"

	"skein/feed"
)

const (
	// presenceTime is how long after its last word a process counts as relaying, by
	// Cassandra's clocks. An event of one that does not is anybody's.
	presenceTime = 10 * time.Second
	// presenceEvery is how often it says so, aliveEvery how often it asks.
	presenceEvery = 3 * time.Second
	aliveEvery    = time.Second
)

// presence is what a process said of itself, and knows of others.
type presence struct {
	mu      sync.Mutex
	said    time.Time
	failing bool           // it could not publish when it last tried
	spans   map[int64]bool // registered
	alive   []int64        // those who publish, ascending
	asked   time.Time
}

// announce makes sure, before an event is written, that whoever looks for events finds
// those of its span.
func (s *Store) announce(ctx context.Context, id feed.PostID) error {
	p, span := &s.presence, spanOf(bucketOf(id))
	p.mu.Lock()
	known := p.spans[span]
	p.mu.Unlock()
	if known {
		return nil
	}
	if err := s.write(ctx, `INSERT INTO outbox_spans (one, span) VALUES (0, ?) USING TIMESTAMP ?`, span, stampOf(id)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spans) >= 16 || p.spans == nil { // old ones are not asked for again
		p.spans = map[int64]bool{}
	}
	p.spans[span] = true
	return nil
}

// sayPresent says that this process relays, and whether it fails to publish: at once
// when that changed, else every few seconds. Only relaying says it: of a process that
// cannot reach the log others take the events.
func (s *Store) sayPresent(ctx context.Context) error {
	p, now := &s.presence, time.Now()
	p.mu.Lock()
	fresh, failing := now.Sub(p.said) < presenceEvery, p.failing
	p.mu.Unlock()
	if fresh {
		return nil
	}
	err := s.write(ctx, `INSERT INTO relays (one, origin, failing) VALUES (0, ?, ?) USING TTL ?`,
		s.origin, failing, int(presenceTime/time.Second))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failing == failing {
		p.said = now
	}
	return nil
}

// published keeps whether publishing fails.
func (p *presence) published(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if failing := err != nil; failing != p.failing {
		p.failing, p.said, p.asked = failing, time.Time{}, time.Time{}
	}
}

// leave takes it back. If that fails, others notice later.
func (s *Store) leave(ctx context.Context) {
	s.presence.mu.Lock()
	silent := s.presence.said.IsZero() && !s.presence.failing
	s.presence.mu.Unlock()
	if silent {
		return
	}
	if err := s.write(ctx, `DELETE FROM relays WHERE one = 0 AND origin = ?`, s.origin); err != nil {
		s.opts.Logger.Info("cannot tell the other relays that this one ends; they will notice", "err", err)
	}
}

// relaysAlive returns the processes that publish, or if none does, as when the log is
// down, all that try. It is at most aliveEvery old.
func (s *Store) relaysAlive(ctx context.Context) ([]int64, error) {
	p, now := &s.presence, time.Now()
	p.mu.Lock()
	alive, fresh, failing := p.alive, now.Sub(p.asked) < aliveEvery, p.failing
	p.mu.Unlock()
	if fresh {
		return alive, nil
	}
	of := map[bool][]int64{failing: {s.origin}}
	var origin int64
	var fails bool
	err := each(s.read(ctx, `SELECT origin, failing FROM relays WHERE one = 0`), []any{&origin, &fails}, func() {
		if origin != s.origin {
			of[fails] = append(of[fails], origin)
		}
	})
	if err != nil {
		return nil, err
	}
	if alive = of[false]; len(alive) == 0 {
		alive = of[true]
	}
	slices.Sort(alive)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive = alive
	if p.failing == failing {
		p.asked = now
	}
	return alive, nil
}

// heir reports whether this process takes the events in a shard whose own processes do
// not publish. Processes that see the same others agree on one; else two may, or for a
// moment none.
func (s *Store) heir(shard int, alive []int64) bool { return alive[shard%len(alive)] == s.origin }
