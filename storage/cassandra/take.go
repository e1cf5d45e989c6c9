package cassandra

import (
	"context"
	"slices"
	"time"

	"skein/feed"
	"skein/storage"
)

// strangersFor is for how long the events that are others' are stepped over, before they
// are looked through again: one may have come late, and be this process's.
const strangersFor = 10 * time.Second

const takeEvents = `
SELECT post, author, origin FROM outbox WHERE shard = ? AND bucket = ? AND post >= ? LIMIT ?`

// taking is one look through the outbox for events to relay.
type taking struct {
	*Store
	limit int
	alive []int64
	// events are held, no more than limit for each partition of the last bucket.
	events []event
	// first is the first event that is this process's, held or not.
	first feed.PostID
}

// take holds the lowest events that are this process's to relay.
func (s *Store) take(ctx context.Context, limit int) (oldest feed.PostID, alive []int64, events []event, err error) {
	if err := s.outbox.taking.take(ctx); err != nil {
		return 0, nil, nil, err
	}
	defer s.outbox.taking.give()
	// Removed before we read, so not among what we read.
	s.outbox.mu.Lock()
	clear(s.outbox.mu.gone)
	s.outbox.mu.Unlock()
	if err := s.sayPresent(ctx); err != nil {
		return 0, nil, nil, err
	}
	if alive, err = s.relaysAlive(ctx); err != nil {
		return 0, nil, nil, err
	}
	if oldest, err = s.oldestEvent(ctx); err != nil || oldest == feed.MaxPostID {
		return oldest, alive, nil, err
	}
	t := taking{Store: s, limit: limit, alive: alive, first: feed.MaxPostID}
	if err := t.all(ctx, oldest); err != nil {
		s.outbox.release(t.events, nil)
		return 0, nil, nil, err
	}
	events = t.events
	slices.SortFunc(events, byID)
	if len(events) > limit {
		s.outbox.release(events[limit:], nil)
		events = events[:limit]
	}
	return oldest, alive, events, nil
}

// all looks through the outbox, or what comes after others' events in it.
func (t *taking) all(ctx context.Context, oldest feed.PostID) error {
	now, began, from := t.Now(), time.Now(), oldest
	t.outbox.mu.Lock()
	others := t.outbox.mu.others
	t.outbox.mu.Unlock()
	if began.Before(others.until) && slices.Equal(t.alive, others.among) {
		from = max(from, others.below)
	} else {
		others = strangers{among: t.alive, until: began.Add(strangersFor)}
	}
	chunks, err := t.chunks(ctx, from, now)
	if err != nil {
		return err
	}
	for _, buckets := range chunks {
		if err := t.some(ctx, buckets, from); err != nil {
			return err
		}
		if len(t.events) >= t.limit {
			break
		}
	}
	others.below = min(t.first, feed.IDAt(now.Add(-settled)))
	t.outbox.mu.Lock()
	defer t.outbox.mu.Unlock()
	t.outbox.mu.others = others
	return nil
}

// some looks through those partitions of a few buckets that hold something, and may hold
// what is this process's, bucket by bucket until there is enough.
func (t *taking) some(ctx context.Context, buckets []int64, from feed.PostID) error {
	least, err := t.least(ctx, buckets, from)
	if err != nil {
		return err
	}
	t.outbox.mu.Lock()
	wrote := t.outbox.mu.wrote
	t.outbox.mu.Unlock()
	last := int64(0)
	for _, id := range least {
		shard, bucket := placeOf(id)
		if bucket > last && len(t.events) >= t.limit {
			break
		}
		last = bucket
		heir := t.heir(int(shard), t.alive)
		if !heir && !wrote[shard] {
			continue
		}
		t.after(stepPartition)
		if err := t.partition(ctx, id, heir); err != nil {
			return err
		}
	}
	return nil
}

// partition holds up to limit events of a partition, lowest first.
func (t *taking) partition(ctx context.Context, from feed.PostID, heir bool) error {
	shard, bucket := placeOf(from)
	held := 0
	for n := t.limit; n == t.limit && held < t.limit; {
		n = 0
		var post, author, origin int64
		err := each(t.read(ctx, takeEvents, shard, bucket, int64(from), t.limit), []any{&post, &author, &origin}, func() {
			n++
			from = feed.PostID(post) + 1
			e := event{Event: storage.Event{Post: feed.PostID(post), Author: feed.UserID(author)}, origin: origin}
			if !t.ours(e, heir) {
				return
			}
			t.first = min(t.first, e.Post)
			if held < t.limit && t.outbox.hold(&e) {
				t.events = append(t.events, e)
				held++
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ours reports whether an event is this process's to relay.
func (t *taking) ours(e event, heir bool) bool {
	if e.origin == t.origin {
		return true
	}
	_, publishes := slices.BinarySearch(t.alive, e.origin)
	return heir && !publishes
}

// hold holds an event for the caller if it is free, and tells whether its post is in
// doubt.
func (o *outbox) hold(e *event) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, taken := range []map[feed.PostID]struct{}{o.mu.creating, o.mu.held, o.mu.gone} {
		if _, ok := taken[e.Post]; ok {
			return false
		}
	}
	_, whole := o.mu.whole[e.Post]
	e.doubtful = !whole
	o.mu.held[e.Post] = struct{}{}
	return true
}
