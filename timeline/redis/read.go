package redis

import (
	"context"
	"errors"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"skein/feed"
	"skein/timeline"
)

// Read returns a page. The timeline comes from one script: its entries, its
// header and the stamp of the server are of one instant.
//
// All that was pushed since the list was sorted comes with it, and of the sorted
// part, which has no repeats, one entry more than the page: enough for it, and to
// tell whether there are more. A page further down takes the list whole.
func (s *Store) Read(ctx context.Context, q timeline.Query) (timeline.Page, error) {
	wanted := min(max(q.Limit, 0), s.opts.Cap) + 1
	if q.Before < feed.MaxPostID {
		wanted = whole
	}
	got, err := s.look(ctx, q, wanted)
	if err != nil {
		return timeline.Page{}, unavailable("read a timeline", err)
	}
	return got.page(q), nil
}

// whole asks for all entries.
const whole = -1

// look is what one reading of the server found.
type look struct {
	header  header // state Absent if there is nothing that can be trusted
	entries string // as many as were wanted, packed
	shard   int
	deletes uint64
}

// look reads a timeline and, on the same connection, the log of deletes of its
// shard, if one master has both, as it mostly has. Else, or if there is no log of
// this life of the master, a script at the log tells its head; it asks for the stamp
// itself.
func (s *Store) look(ctx context.Context, q timeline.Query, wanted int) (look, error) {
	slot, shard := s.slotOf(q.Viewer), s.Shard(q.Viewer)
	_, cmds, err := s.atSlot(ctx, slot, func(n *node, pipe goredis.Pipeliner) {
		readScript.queue(ctx, pipe, s.key(q.Viewer), number(q.Life), s.opts.Idle.Milliseconds(), wanted, s.opts.Cap/4, s.opts.Cap)
		if s.view.Load().ownerOf(s.logSlot(shard)) == n {
			pipe.LIndex(ctx, s.logKey(shard), 0)
		}
	})
	if err != nil && firstError(cmds) != nil || len(cmds) == 0 {
		return look{}, err
	}
	answer, err := cmds[0].(*goredis.Cmd).Slice()
	if err != nil {
		return look{}, err
	}
	got := look{shard: shard}
	stamp, err := got.parse(answer)
	if err != nil {
		return look{}, err
	}
	head := ""
	if len(cmds) > 1 {
		head = cmds[1].(*goredis.StringCmd).Val() // "" where there is none, or not here
	}
	if !isHead(head) || head[logStampAt:] != stamp {
		if _, head, err = s.appendDeletes(ctx, shard, nil); err != nil {
			return look{}, err
		}
	}
	got.deletes = positionOf(head)
	return got, nil
}

var errAnswer = errors.New("redis answered a script in a form that nobody knows")

// parse reads what the script answered.
func (l *look) parse(answer []any) (stamp string, err error) {
	ok := len(answer) > 0
	if ok {
		stamp, ok = answer[0].(string)
	}
	if ok && len(answer) > 1 {
		text, _ := answer[1].(string)
		if l.header, err = parseHeader(text); err != nil {
			return "", err
		}
	}
	if ok && len(answer) > 2 {
		l.entries, ok = answer[2].(string)
		ok = ok && len(l.entries)%entrySize == 0
	}
	if !ok {
		return "", errAnswer
	}
	return stamp, nil
}

// page makes the page that q asks for.
func (l *look) page(q timeline.Query) timeline.Page {
	p := timeline.Page{State: l.header.state, Header: l.header.Header, Floor: q.Before}
	p.Position = timeline.Position{Acts: l.header.acts, Shard: l.shard, Deletes: l.deletes}
	if p.State != timeline.Live {
		return p
	}
	entries := make([]timeline.Entry, 0, len(l.entries)/entrySize)
	for at := 0; at < len(l.entries); at += entrySize {
		if e := unpack(l.entries[at:]); e.ID() > p.Bottom && e.ID() < q.Before {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, newestFirst)
	entries = slices.CompactFunc(entries, func(a, b timeline.Entry) bool { return a.ID() == b.ID() })
	limit := max(q.Limit, 0)
	if len(entries) <= limit {
		p.Entries, p.Floor = entries, min(p.Bottom, feed.MaxPostID-1)+1
		return p
	}
	p.Entries = entries[:limit:limit]
	if limit > 0 {
		p.Floor = entries[limit-1].ID()
	}
	return p
}

// newestFirst orders by falling id, and a delivered entry before the same from
// storage.
func newestFirst(a, b timeline.Entry) int {
	switch {
	case a.ID() > b.ID():
		return -1
	case a.ID() < b.ID():
		return 1
	case a.IsRebuilt() == b.IsRebuilt():
		return 0
	case b.IsRebuilt():
		return -1
	default:
		return 1
	}
}
