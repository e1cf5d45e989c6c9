package fanout

import (
	"context"
	"fmt"
	"slices"

	"skein/fanout/eventlog"
	"skein/feed"
	eventv1 "skein/proto/event/v1"
)

const (
	// groupReplay is the group whose committed offset parts what was set aside
	// into replayed and still aside.
	groupReplay = "replay"
	// maxAside is how many posts set aside readers pull; with more, the top
	// stays below the others.
	maxAside = 1_000
	// asidePage is how many set-aside records are read at once.
	asidePage = 256
)

// putAside moves a record that cannot be handled out of the way, with its reason
// (F5). Storage tells whose post it is, so that readers can pull it.
func (f *Fanout) putAside(ctx context.Context, topic string, r eventlog.Record, reason error) error {
	var author feed.UserID
	if r.Post.Valid() {
		posts, err := f.cfg.Posts.GetPosts(ctx, []feed.PostID{r.Post})
		if err != nil {
			return err
		}
		if len(posts) > 0 {
			author = posts[0].Author
		}
	}
	if err := f.cfg.Log.Append(ctx, topicAside, asideRecord(topic, r, author, reason)); err != nil {
		return fmt.Errorf("set an event aside: %w", err)
	}
	f.metrics.aside.Inc()
	f.cfg.Logger.Error("an event was set aside; its post is pulled until it is replayed",
		"lane", topic, "post", r.Post, "offset", r.Offset, "err", reason)
	return nil
}

// asideList follows the topic of what was set aside. It belongs to the goroutine
// that refreshes the progress.
type asideList struct {
	log   eventlog.Log
	start int64 // the replay group's offset that refs began at
	next  int64 // the next offset to read
	refs  []feed.Ref
	// rest is the least post that refs has no room for; feed.MaxPostID.
	rest feed.PostID
}

// refresh reads what was added since, or everything after a replay, and returns
// the posts newest first.
func (l *asideList) refresh(ctx context.Context) ([]feed.Ref, error) {
	committed, err := l.log.Committed(ctx, groupReplay, topicAside)
	if err != nil {
		return nil, err
	}
	if l.rest == 0 || committed[0] != l.start {
		*l = asideList{log: l.log, start: committed[0], next: committed[0], rest: feed.MaxPostID}
	}
	for {
		records, err := l.log.Read(ctx, topicAside, 0, l.next, asidePage)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			l.next = r.Offset + 1
			l.add(r)
		}
	}
	refs := slices.Clone(l.refs)
	slices.SortFunc(refs, func(a, b feed.Ref) int { return compareNewest(a.Post, b.Post) })
	return slices.CompactFunc(refs, func(a, b feed.Ref) bool { return a.Post == b.Post }), nil
}

func (l *asideList) add(r eventlog.Record) {
	var m eventv1.SetAside
	if err := decode(r.Value, &m); err != nil || m.GetAuthorId() == 0 {
		return // no post to pull: it never existed, or is deleted
	}
	if len(l.refs) < maxAside {
		l.refs = append(l.refs, feed.Ref{Post: r.Post, Author: feed.UserID(m.GetAuthorId())})
		return
	}
	l.rest = min(l.rest, r.Post)
}

func compareNewest(a, b feed.PostID) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// Replay delivers the posts that were set aside to all followers of their
// authors, oldest record first, and returns how many records it took off the list.
// It stops at the first that still cannot be delivered and returns why. It goes
// past the lanes: an old post in a lane would break the promise of
// eventlog.Record.Low. One process may replay at a time.
func (f *Fanout) Replay(ctx context.Context) (int, error) {
	done := 0
	for {
		committed, err := f.cfg.Log.Committed(ctx, groupReplay, topicAside)
		if err != nil {
			return done, err
		}
		records, err := f.cfg.Log.Read(ctx, topicAside, 0, committed[0], 1)
		if err != nil || len(records) == 0 {
			return done, err
		}
		if err := f.replay(ctx, records[0]); err != nil {
			return done, fmt.Errorf("replay post %d: %w", records[0].Post, err)
		}
		// Only now does its post leave the list that readers pull.
		if err := f.cfg.Log.Reset(ctx, groupReplay, topicAside, 0, records[0].Offset+1); err != nil {
			return done, err
		}
		done++
	}
}

func (f *Fanout) replay(ctx context.Context, r eventlog.Record) error {
	var m eventv1.SetAside
	if err := decode(r.Value, &m); err != nil {
		return err
	}
	author := feed.UserID(m.GetAuthorId())
	if !r.Post.Valid() || !author.Valid() {
		return nil // there is no such post any more
	}
	err := f.eachPage(ctx, author, feed.AllHashes, func(page []feed.UserID) error {
		return f.deliverWhole(ctx, r.Post, page)
	})
	if err != nil {
		return err
	}
	return f.cfg.Timelines.Barrier(ctx)
}
