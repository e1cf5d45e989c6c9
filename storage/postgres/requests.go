package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"time"

	"skein/feed"
)

const (
	// keepRequests is how long an idempotency key lives at least. An hour is
	// added to the promised day, for clocks that are set.
	keepRequests = 25 * time.Hour
	// Every purgeEvery-th new key of a process, up to purgeBatch expired ones
	// go: on average eight times as many as come, so a backlog shrinks.
	purgeEvery = 64
	purgeBatch = 512
	// purgeTimeout bounds how long the caller who purges waits for it.
	purgeTimeout = time.Second
)

// requests counts the new keys of this process.
type requests struct {
	created atomic.Uint64
	purging atomic.Bool
}

// keyOf is what is stored of a request id: of one length, whatever it holds.
func keyOf(requestID string) []byte {
	sum := sha256.Sum256([]byte(requestID))
	return sum[:16]
}

// contentOf is a hash of what was posted.
func contentOf(p feed.Post) []byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p.Text))))
	h.Write([]byte(p.Text))
	h.Write(p.Payload)
	return h.Sum(nil)[:16]
}

// purgeSometimes removes expired keys now and then, after the post with the newest
// id was written. The server has just found that id young, so its time is the time.
// A failure is no failure of the post: the next one tries again.
func (s *Store) purgeSometimes(ctx context.Context, newest feed.PostID) {
	if s.requests.created.Add(1)%purgeEvery != 0 || !s.requests.purging.CompareAndSwap(false, true) {
		return
	}
	defer s.requests.purging.Store(false)
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	if err := s.purge(ctx, newest); err != nil {
		s.opts.Logger.Warn("cannot remove expired idempotency keys now; trying again later", "err", err)
	}
}

// purge removes up to purgeBatch keys that are older than keepRequests at newest.
// Those that another process removes at the same time are passed over.
func (s *Store) purge(ctx context.Context, newest feed.PostID) error {
	_, err := s.pool.Exec(ctx, `
		DELETE FROM requests WHERE ctid = ANY(ARRAY(
			SELECT ctid FROM requests WHERE post < $1 ORDER BY post LIMIT $2 FOR UPDATE SKIP LOCKED))`,
		feed.IDAt(newest.Time().Add(-keepRequests)), purgeBatch)
	return err
}
