package embedded

import (
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// keepRequests is how long an idempotency key lives at least. An hour is
	// added to the promised day, for clocks that are set.
	keepRequests = 25 * time.Hour
	// Every purgeEvery-th new key, up to purgeBatch expired ones go: on
	// average eight times as many as come, so a backlog shrinks.
	purgeEvery = 64
	purgeBatch = 512
)

// purgeRequests removes a bounded number of expired keys. Only one runs at a
// time: a second, working from what it read before the first had deleted, could
// delete a key that was made again in between. Losing the removal is harmless.
func (s *Store) purgeRequests() error {
	if !s.requests.purging.CompareAndSwap(false, true) {
		return nil
	}
	defer s.requests.purging.Store(false)
	b, n := s.batch(), 0
	expired := number(tableRequestTimes, max(0, s.millis()-keepRequests.Milliseconds()))
	err := s.scan(slices.Concat([]byte{tableRequestTimes}, s.requests.purged), expired, func(it *pebble.Iterator) (bool, error) {
		k := it.Key()
		if len(k) != oneNumber+scopeLen {
			return false, damaged(k)
		}
		b.remove(k)
		b.remove(append([]byte{tableRequests}, k[oneNumber:]...))
		s.requests.purged = append(s.requests.purged[:0], k[1:]...)
		n++
		return n < purgeBatch, nil
	})
	if err != nil || n == 0 {
		b.Close()
		return err
	}
	return s.commit(b, pebble.NoSync)
}
