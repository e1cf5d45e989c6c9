package cassandra

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
	"skein/storage"
)

const (
	// metTime is for how long an event is seen without its post before it is
	// completed: those who hold a top compute it anew meanwhile, with this event.
	metTime = time.Second
	// maxMet events are remembered with when they were met; if they are as many, those
	// not older than metKept.
	maxMet  = 10_000
	metKept = time.Minute
)

// Relay implements storage.Outbox. A process takes its own events; those of processes
// that are dead, or cannot publish while others can, go to the heir of their shard.
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
		err := publish(min(oldest, events[0].Post), published(events))
		s.presence.published(err)
		if err != nil {
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

// complete writes the posts that are in doubt again, as they are in their events and
// with the same stamp. It returns the events to publish.
func (s *Store) complete(ctx context.Context, events []event) ([]event, error) {
	ready := make([]bool, len(events))
	err := forEach(ctx, len(events), func(ctx context.Context, i int) (err error) {
		ready[i] = true
		if events[i].doubtful {
			ready[i], err = s.completeOne(ctx, events[i].Post, s.metBefore)
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
// to be must be decided first, since its creator may just find it late; and met tells
// whether the event was seen for metTime.
func (s *Store) completeOne(ctx context.Context, id feed.PostID, met func(feed.PostID) bool) (ready bool, err error) {
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
		if !met(id) {
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
	if len(met) >= maxMet { // of events that others completed, or that were deleted
		maps.DeleteFunc(met, func(_ feed.PostID, first time.Time) bool { return now.Sub(first) > metKept })
	}
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
