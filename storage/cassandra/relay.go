package cassandra

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
	"skein/storage"
)

const (
	// metTime is for how long an event is seen without its post before it is
	// completed: those who hold a top compute it anew meanwhile, with this event.
	metTime = time.Second
	maxMet  = 10_000

	takeEvents = `
SELECT post, author, origin FROM outbox WHERE shard = ? AND bucket = ? AND post >= ? LIMIT ?`
)

// Relay implements storage.Outbox. A process takes its own events; those of processes
// that are dead go to the heir of their shard.
func (s *Store) Relay(ctx context.Context, limit int, publish func(oldest feed.PostID, events []storage.Event) error) (int, error) {
	const doing = "read the outbox"
	oldest, alive, held, err := s.take(ctx, limit)
	if err != nil {
		return 0, translate(doing, err)
	}
	var removed []event
	defer func() { s.outbox.release(held, removed) }()
	events, err := s.complete(ctx, held)
	if err != nil {
		return 0, translate("complete posts of the outbox", err)
	}
	if len(events) > 0 {
		if err := publish(min(oldest, events[0].Post), published(events)); err != nil {
			return 0, err
		}
		// What was published is worth a removal, also when the caller has left.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		if err := s.removeEvents(ctx, ids(events)); err != nil {
			return 0, translate("clear the outbox", err)
		}
		removed = events
	}
	if err := s.dropFinished(ctx, alive); err != nil && ctx.Err() == nil {
		s.opts.Logger.Warn("cannot drop finished parts of the outbox now; trying again later", "err", err)
	}
	return len(events), nil
}

func published(events []event) []storage.Event {
	all := make([]storage.Event, len(events))
	for i, e := range events {
		all[i] = e.Event
	}
	return all
}

func ids(events []event) []feed.PostID {
	all := make([]feed.PostID, len(events))
	for i, e := range events {
		all[i] = e.Post
	}
	return all
}

// take holds the lowest events that are this process's to relay: of the shards that it
// has used, and now and then of all.
func (s *Store) take(ctx context.Context, limit int) (oldest feed.PostID, alive []int64, events []event, err error) {
	if err := s.outbox.taking.take(ctx); err != nil {
		return 0, nil, nil, err
	}
	defer s.outbox.taking.give()
	// Removed before we read, so not among what we read.
	s.outbox.mu.Lock()
	clear(s.outbox.mu.gone)
	s.outbox.mu.Unlock()
	if err := s.announce(ctx, feed.IDAt(s.Now())); err != nil {
		return 0, nil, nil, err
	}
	if alive, err = s.relaysAlive(ctx); err != nil {
		return 0, nil, nil, err
	}
	if oldest, err = s.oldestEvent(ctx); err != nil || oldest == feed.MaxPostID {
		return oldest, alive, nil, err
	}
	some, all := s.outbox.toTake(s.home)
	for i, shard := range some {
		if i > 0 && len(events) >= limit {
			break
		}
		of, err := s.takeShard(ctx, shard, limit, oldest, alive)
		events = append(events, of...)
		if err != nil {
			s.outbox.release(events, nil)
			return 0, nil, nil, err
		}
	}
	if all && len(events) < limit {
		s.outbox.tookAll()
	}
	slices.SortFunc(events, byID)
	if len(events) > limit {
		s.outbox.release(events[limit:], nil)
		events = events[:limit]
	}
	return oldest, alive, events, nil
}

// takeShard holds up to limit events of a shard, lowest first.
func (s *Store) takeShard(ctx context.Context, shard, limit int, from feed.PostID, alive []int64) (events []event, err error) {
	last := bucketOf(feed.IDAt(s.Now().Add(aheadEvents)))
	heir := s.heir(shard, alive)
	for bucket := bucketOf(from); bucket <= last && len(events) < limit; bucket++ {
		page := limit
		for n := page; n == page && len(events) < limit; {
			n = 0
			var post, author, origin int64
			err := each(s.read(ctx, takeEvents, int16(shard), bucket, int64(from), page), []any{&post, &author, &origin}, func() {
				n++
				from = feed.PostID(post) + 1
				e := event{Event: storage.Event{Post: feed.PostID(post), Author: feed.UserID(author)}, origin: origin}
				if len(events) < limit && s.hold(&e, heir, alive) {
					events = append(events, e)
				}
			})
			if err != nil {
				return events, err
			}
		}
	}
	return events, nil
}

// hold holds an event for the caller if it is this process's and free, and tells
// whether its post is in doubt.
func (s *Store) hold(e *event, heir bool, alive []int64) bool {
	if e.origin != s.origin {
		if _, living := slices.BinarySearch(alive, e.origin); living || !heir {
			return false
		}
	}
	o := s.outbox.mu
	o.Lock()
	defer o.Unlock()
	for _, taken := range []map[feed.PostID]struct{}{o.creating, o.held, o.gone} {
		if _, ok := taken[e.Post]; ok {
			return false
		}
	}
	_, whole := o.whole[e.Post]
	e.doubtful = !whole
	o.held[e.Post] = struct{}{}
	return true
}

// complete writes the posts that are in doubt again, as they are in their events and
// with the same stamp. It returns the events to publish.
func (s *Store) complete(ctx context.Context, events []event) ([]event, error) {
	ready := make([]bool, len(events))
	err := forEach(ctx, len(events), func(ctx context.Context, i int) (err error) {
		ready[i] = true
		if events[i].doubtful {
			ready[i], err = s.completeOne(ctx, events[i].Post)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var all []event
	for i, e := range events {
		if ready[i] {
			all = append(all, e)
		}
	}
	return all, nil
}

// completeOne writes a post from its event. If nobody has seen the post, that it comes
// to be must be decided first, since its creator may just find it late.
func (s *Store) completeOne(ctx context.Context, id feed.PostID) (ready bool, err error) {
	shard, bucket := placeOf(id)
	post := feed.Post{ID: id}
	var text []byte
	err = s.read(ctx, `SELECT author, text, payload FROM outbox WHERE shard = ? AND bucket = ? AND post = ?`, shard, bucket, int64(id)).
		Scan((*int64)(&post.Author), &text, &post.Payload)
	if errors.Is(err, gocql.ErrNotFound) {
		return false, nil // another relay was faster, or the post was deleted
	}
	if err != nil {
		return false, err
	}
	post.Text = string(text)
	var author int64
	err = s.read(ctx, `SELECT author FROM posts WHERE id = ?`, int64(id)).Scan(&author)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return false, err
	}
	if err != nil {
		if !s.metBefore(id) {
			return false, nil
		}
		complete, err := s.settle(ctx, id, true)
		if err != nil {
			return false, err
		}
		if !complete {
			return false, s.removeEvents(ctx, []feed.PostID{id})
		}
	}
	return true, s.writePost(ctx, post)
}

// metBefore reports whether an event was seen without its post long enough ago.
func (s *Store) metBefore(id feed.PostID) bool {
	now := time.Now()
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	met := s.outbox.mu.met
	first, ok := met[id]
	switch {
	case !ok && len(met) < maxMet:
		met[id] = now
	case ok && now.Sub(first) >= metTime:
		delete(met, id)
		return true
	}
	return false
}
