package embedded

import (
	"context"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/storage"
)

// outbox is what memory knows of the event rows. It is bounded by the calls in
// flight, not by the backlog.
type outbox struct {
	mu struct {
		sync.Mutex
		count int64 // rows
		// writing holds posts between the begin and the end of CreatePost:
		// their rows are not to be published yet.
		writing map[feed.PostID]struct{}
		// held maps the events that a relay works on to whether a delete
		// removed the row meanwhile.
		held map[feed.PostID]bool

		// floor is a bound below which there is no row, so that a scan need
		// not walk over the tombstones of all that was relayed. One scan at a
		// time may raise it; begun is the least id whose row it can have
		// missed.
		floor    feed.PostID
		scanning bool
		begun    feed.PostID
	}
}

func (o *outbox) init(count int64) {
	o.mu.count = count
	o.mu.writing = map[feed.PostID]struct{}{}
	o.mu.held = map[feed.PostID]bool{}
}

func (o *outbox) begin(id feed.PostID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.writing[id] = struct{}{}
	o.mu.floor = min(o.mu.floor, id)
	o.mu.begun = min(o.mu.begun, id)
}

func (o *outbox) end(id feed.PostID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.writing, id)
}

func (o *outbox) grow(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.count += n
}

// removed tells that a delete took the post, and maybe its event row. A relay
// that holds the event counts it when it lets go.
func (o *outbox) removed(id feed.PostID, event bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, held := o.mu.held[id]; held {
		o.mu.held[id] = true
	} else if event {
		o.mu.count--
	}
}

// hold takes an event for a relay, unless it is held or being written.
func (o *outbox) hold(id feed.PostID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, writing := o.mu.writing[id]
	_, held := o.mu.held[id]
	if writing || held {
		return false
	}
	o.mu.held[id] = false
	return true
}

// release lets go of events, whose rows are gone if published says so.
func (o *outbox) release(events []storage.Event, published bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		if published || o.mu.held[e.Post] {
			o.mu.count--
		}
		delete(o.mu.held, e.Post)
	}
}

// startScan returns where a scan begins and how to tell what it found first.
func (o *outbox) startScan() (floor feed.PostID, found func(first feed.PostID)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.scanning {
		return o.mu.floor, func(feed.PostID) {}
	}
	o.mu.scanning = true
	o.mu.begun = feed.MaxPostID
	for id := range o.mu.writing {
		o.mu.begun = min(o.mu.begun, id)
	}
	return o.mu.floor, func(first feed.PostID) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.mu.scanning = false
		o.mu.floor = min(first, o.mu.begun)
	}
}

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
// again once it is ours.
func (s *Store) takeEvents(limit int) (feed.PostID, []storage.Event, error) {
	var events []storage.Event
	oldest, err := s.scanEvents(func(_ *pebble.Iterator, id feed.PostID) (bool, error) {
		if len(events) >= limit || !s.outbox.hold(id) {
			return len(events) < limit, nil
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

// forget lets go of an event whose row was gone already.
func (o *outbox) forget(id feed.PostID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.held, id)
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
