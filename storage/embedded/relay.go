package embedded

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/storage"
)

// scanEvents calls use with the events from the oldest on, until it says stop,
// and returns the oldest id, whoever holds it; feed.MaxPostID for none.
func (s *Store) scanEvents(use func(it *pebble.Iterator, id feed.PostID) (more bool, err error)) (feed.PostID, error) {
	floor, found := s.outbox.startScan()
	oldest := feed.MaxPostID
	err := s.scan(eventKey(floor), eventsEnd, func(it *pebble.Iterator) (bool, error) {
		n, err := lastNumber(it.Key(), oneNumber)
		if err != nil {
			return false, err
		}
		oldest = min(oldest, feed.PostID(n))
		return use(it, feed.PostID(n))
	})
	if err != nil {
		found(floor)
		return oldest, err
	}
	found(oldest)
	return oldest, nil
}

// Relay implements storage.Outbox.
func (s *Store) Relay(ctx context.Context, limit int, publish func(oldest feed.PostID, events []storage.Event) error) (int, error) {
	const doing = "read the outbox"
	if err := s.enter(ctx, doing); err != nil {
		return 0, err
	}
	defer s.leave()
	oldest, events, err := s.takeEvents(limit)
	if err != nil {
		return 0, translate(doing, err)
	}
	if len(events) == 0 {
		return 0, nil
	}
	done := false
	defer func() { s.outbox.release(events, done) }()
	if err := publish(oldest, events); err != nil {
		return 0, err
	}
	b := s.batch()
	for _, e := range events {
		b.remove(eventKey(e.Post))
	}
	if err := s.commit(b, pebble.NoSync); err != nil {
		return 0, translate("clear the outbox", err)
	}
	done = true
	return len(events), nil
}

// takeEvents holds the oldest free events. Another relay may have removed one
// after the scan began and let go of it before we held it, so each is looked up
// again once it is ours. No delete of the post comes in between, as it would leave it
// to us to count a row that we then do not find.
func (s *Store) takeEvents(limit int) (feed.PostID, []storage.Event, error) {
	var events []storage.Event
	oldest, err := s.scanEvents(func(_ *pebble.Iterator, id feed.PostID) (bool, error) {
		if len(events) >= limit {
			return false, nil
		}
		defer s.posts.lock(uint64(id))()
		if !s.outbox.hold(id) {
			return true, nil
		}
		event := storage.Event{Post: id}
		found, err := s.lookup(eventKey(id), func(value []byte) (err error) {
			event.Author, err = postAuthor(eventKey(id), value)
			return err
		})
		if !found || err != nil {
			s.outbox.forget(id)
			return true, err
		}
		events = append(events, event)
		return len(events) < limit, nil
	})
	if err != nil {
		s.outbox.release(events, false)
		return 0, nil, err
	}
	return oldest, events, nil
}

// OldestEvent implements storage.Outbox. Posts being written count.
func (s *Store) OldestEvent(ctx context.Context) (feed.PostID, error) {
	const doing = "read the outbox"
	if err := s.enter(ctx, doing); err != nil {
		return 0, err
	}
	defer s.leave()
	oldest, err := s.scanEvents(func(*pebble.Iterator, feed.PostID) (bool, error) { return false, nil })
	return oldest, translate(doing, err)
}

// CountEvents implements storage.Outbox.
func (s *Store) CountEvents(ctx context.Context) (int64, error) {
	if err := s.enter(ctx, "count the outbox"); err != nil {
		return 0, err
	}
	defer s.leave()
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.outbox.mu.count, nil
}
