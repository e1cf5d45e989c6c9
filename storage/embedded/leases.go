package embedded

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
)

// leaseTime is how far ahead of the clock a grant ends.
const leaseTime = 5 * time.Second

// leases holds, for each node, until when its id time has been granted.
type leases struct {
	mu struct {
		sync.Mutex
		until [feed.Nodes]int64
		next  uint16 // where to look first
	}
}

func (s *Store) loadLeases() error {
	return s.scan([]byte{tableLeases}, []byte{tableLeases + 1}, func(it *pebble.Iterator) (bool, error) {
		k := it.Key()
		if len(k) != 3 {
			return false, damaged(k)
		}
		node := binary.BigEndian.Uint16(k[1:])
		ns, err := numbers(k, it.Value(), 1)
		if err != nil || node >= feed.Nodes {
			return false, damaged(k)
		}
		s.leases.mu.until[node] = int64(ns[0])
		return true, nil
	})
}

// Grant implements feed.Granter. The interval is taken in memory first, and
// written without a lock: one that is taken and not written is lost to this
// process, and no other can exist until this one has ended.
func (s *Store) Grant(ctx context.Context) (feed.Grant, error) {
	const doing = "lease time for post ids"
	if err := s.enter(ctx, doing); err != nil {
		return feed.Grant{}, err
	}
	defer s.leave()
	node, from, until, ok := s.leases.take(s.millis())
	if !ok {
		return feed.Grant{}, feed.Exhausted(leaseTime, "every node is leased; wait, and look whether the clock was set back")
	}
	b := s.batch()
	b.set(leaseKey(node), encodeNumbers(uint64(until)))
	if err := s.commit(b, pebble.Sync); err != nil {
		return feed.Grant{}, translate(doing, err)
	}
	return feed.Grant{Node: node, From: timeOf(uint64(from)), Until: timeOf(uint64(until))}, nil
}

// take finds a node whose last interval is over; else, as when the clock was set
// back, the one whose interval ends first, if that leaves any time.
func (l *leases) take(now int64) (node uint16, from, until int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	best := l.mu.next
	for i := range uint16(feed.Nodes) {
		n := (l.mu.next + i) % feed.Nodes
		if l.mu.until[n] <= now {
			best = n
			break
		}
		if l.mu.until[n] < l.mu.until[best] {
			best = n
		}
	}
	from, until = max(now, l.mu.until[best]), now+leaseTime.Milliseconds()
	if from >= until {
		return 0, 0, 0, false
	}
	l.mu.until[best] = until
	l.mu.next = (best + 1) % feed.Nodes
	return best, from, until, true
}

// GrantedUntil is when the last of all grants ends. Grants are on the disk before any id
// of them is used, so an id of later tells of a store that lost its last writes. (Of an
// earlier one the node's own grant would tell no more: which node gets the next grant
// depends on when it is asked for.)
func (s *Store) GrantedUntil() time.Time {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	return timeOf(uint64(slices.Max(s.leases.mu.until[:])))
}
