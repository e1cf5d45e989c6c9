package fanout

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	eventv1 "skein/proto/event/v1"
)

const (
	// groupReplay is the group below whose committed offset everything that was
	// set aside has been replayed. Above it, records of the topic itself say
	// which have; see replayedRecord.
	groupReplay = "replay"
	// maxAside is how many posts set aside readers pull; with more, the top
	// stays below the others.
	maxAside = 1_000
	// asidePage is how many set-aside records are read at once.
	asidePage = 256
)

// putAside moves a record that cannot be handled out of the way, with its reason
// (F5). Storage tells whose post it is, so that readers can pull it.
func (f *Fanout) putAside(ctx context.Context, topic string, r eventlog.Record, reason error, later later) error {
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
	later.add(topicAside, asideRecord(topic, r, author, reason))
	f.cfg.Logger.Error("an event is set aside; its post is pulled until it is replayed",
		"lane", topic, "post", r.Post, "offset", r.Offset, "err", reason)
	return nil
}

// asideList follows the topic of what was set aside. It belongs to the goroutine
// that refreshes the progress.
type asideList struct {
	log   eventlog.Log
	start int64           // the replay group's offset that refs began at
	next  int64           // the next offset to read
	last  eventlog.Record // that was read, without key and value; none if it has no time
	// unreadable is since when last is expected and not readable, or zero.
	unreadable time.Time
	// replayed holds the offsets after start that were replayed.
	replayed map[int64]bool
	refs     []asideRef
	// rest is the least post that refs has no room for; feed.MaxPostID.
	rest feed.PostID
}

type asideRef struct {
	feed.Ref
	offset int64
}

// refresh reads what was added since, or everything after a replay, and returns
// the posts newest first.
func (l *asideList) refresh(ctx context.Context) ([]feed.Ref, error) {
	committed, err := l.log.Committed(ctx, groupReplay, topicAside)
	if err != nil {
		return nil, err
	}
	if same, err := l.same(ctx, committed[0]); err != nil {
		return nil, err
	} else if !same {
		*l = asideList{log: l.log} // and a new life has begun with the topic: see eventlog/kafka's Migrate
	}
	before := len(l.replayed)
	if err := l.read(ctx, committed[0]); err != nil {
		return nil, err
	}
	if l.rest != feed.MaxPostID && len(l.replayed) > before {
		// There is room now for some of the rest.
		l.reset(l.start)
		if err := l.read(ctx, l.start); err != nil {
			return nil, err
		}
	}
	refs := make([]feed.Ref, 0, len(l.refs))
	for _, r := range l.refs {
		refs = append(refs, r.Ref)
	}
	slices.SortFunc(refs, func(a, b feed.Ref) int { return compareNewest(a.Post, b.Post) })
	return slices.CompactFunc(refs, func(a, b feed.Ref) bool { return a.Post == b.Post }), nil
}

// unreadableFor is how long a record that should be there may not be readable: longer
// than a new leader takes to know what it has.
const unreadableFor = 10 * time.Second

// same reports whether the topic still is the one that was read up to next. One that
// was made again, or lost its end, is shorter, or has another record before next.
func (l *asideList) same(ctx context.Context, committed int64) (bool, error) {
	if l.last.AppendTime.IsZero() || l.last.Offset < committed {
		return true, nil // nothing was read, or it need not be there any more
	}
	records, err := l.log.Read(ctx, topicAside, 0, l.last.Offset, 1)
	if err != nil {
		return false, err
	}
	if len(records) > 0 {
		r := records[0]
		l.unreadable = time.Time{}
		return r.Offset == l.last.Offset && r.Post == l.last.Post && r.AppendTime.Equal(l.last.AppendTime), nil
	}
	// It lies beyond the end, or is not readable yet. Pending knows the true end, unless
	// that lies before what was committed.
	pending, err := l.log.Pending(ctx, groupReplay, topicAside)
	if err != nil || committed+pending[0].Count <= l.last.Offset {
		return false, err
	}
	if l.unreadable.IsZero() {
		l.unreadable = time.Now()
	}
	if time.Since(l.unreadable) < unreadableFor {
		return false, feed.Unavailable("read what was set aside", errors.New("its last record is not readable yet"))
	}
	return false, nil
}

// reset forgets all but which were replayed, which stays true.
func (l *asideList) reset(start int64) {
	*l = asideList{log: l.log, start: start, next: start, replayed: l.replayed, rest: feed.MaxPostID}
	maps.DeleteFunc(l.replayed, func(offset int64, _ bool) bool { return offset < start })
}

// read goes on to the end of the topic.
func (l *asideList) read(ctx context.Context, start int64) error {
	if l.rest == 0 || start != l.start {
		l.reset(start)
	}
	return eachAside(ctx, l.log, l.next, func(r eventlog.Record) error {
		l.next = r.Offset + 1
		l.last = eventlog.Record{Offset: r.Offset, Post: r.Post, AppendTime: r.AppendTime}
		l.add(r)
		return nil
	})
}

// eachAside reads the topic of what was set aside from an offset to its end.
func eachAside(ctx context.Context, log eventlog.Log, from int64, each func(eventlog.Record) error) error {
	for {
		records, err := log.Read(ctx, topicAside, 0, from, asidePage)
		if err != nil || len(records) == 0 {
			return err
		}
		for _, r := range records {
			if err := each(r); err != nil {
				return err
			}
			from = r.Offset + 1
		}
	}
}

func (l *asideList) add(r eventlog.Record) {
	if of, ok := replayedOffset(r); ok {
		if l.replayed == nil {
			l.replayed = map[int64]bool{}
		}
		l.replayed[of] = true
		l.refs = slices.DeleteFunc(l.refs, func(ref asideRef) bool { return ref.offset == of })
		return
	}
	var m eventv1.SetAside
	if err := decode(r.Value, &m); err != nil || m.GetAuthorId() == 0 || l.replayed[r.Offset] {
		return // no post to pull: it never existed, or is deleted; or is delivered
	}
	if len(l.refs) < maxAside {
		l.refs = append(l.refs, asideRef{feed.Ref{Post: r.Post, Author: feed.UserID(m.GetAuthorId())}, r.Offset})
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
