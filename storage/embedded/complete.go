package embedded

import (
	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
)

// completeBatch bounds the memory that completing a long outbox takes.
const completeBatch = 1 << 20

// completeEvents shows the post of every event whose second step a crash lost,
// and counts the events. An event is removed with its post when that is deleted,
// so nothing deleted comes back.
func (s *Store) completeEvents() error {
	b, count, completed := s.batch(), int64(0), 0
	_, err := s.scanEvents(func(it *pebble.Iterator, id feed.PostID) (bool, error) {
		count++
		if shown, err := s.has(postKey(id)); shown || err != nil {
			return true, err
		}
		post, err := decodePost(it.Key(), it.Value())
		if err != nil {
			return false, err
		}
		completed++
		showPost(b, post)
		if b.Len() > completeBatch {
			err = s.commit(b, pebble.NoSync)
			b = s.batch()
		}
		return true, err
	})
	s.outbox.init(count)
	if err != nil {
		b.Close()
		return err
	}
	if completed > 0 {
		s.log.Info("completed posts that a crash had left half written", "posts", completed, "folder", s.dir)
	}
	return s.commit(b, pebble.NoSync)
}
