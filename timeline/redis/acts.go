package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"

	goredis "github.com/redis/go-redis/v9"

	"skein/feed"
	"skein/timeline"
)

// The log of deletes is a list of each master:
//
//	head │ posts, 8 bytes each, oldest first
//
//	offset  0  version of this layout, 1
//	        1  id of this log, 4 bytes, random
//	        5  how many deletes it has seen, 4 bytes
//	        9  stamp: the master_replid under which it was begun, 40 hex digits
//
// A position is the id and the count. A log that comes back from a snapshot has
// another stamp than its server and is begun anew, as is one that was flushed:
// under another id, so positions of the old are unknown and not mistaken.
const (
	logStampAt  = 9
	logHeadSize = logStampAt + stampSize

	// deletesKept is how many deletes are remembered.
	deletesKept = 4096
)

func isHead(s string) bool { return len(s) == logHeadSize }

func positionOf(head string) uint64 { return beUint64(head[1:]) }

// Announce makes acts known to every Read that begins after it returned: a log
// of deletes on every master, and new Acts in the header of the viewer's
// timeline. To repeat it is safe.
func (s *Store) Announce(ctx context.Context, acts ...timeline.Act) error {
	var deleted []feed.PostID
	viewers := make(map[*node][]feed.UserID)
	for _, act := range acts {
		if act.Deleted != 0 {
			deleted = append(deleted, act.Deleted)
		}
		if act.Viewer != 0 {
			n := s.nodeOf(act.Viewer)
			viewers[n] = append(viewers[n], act.Viewer)
		}
	}
	err := s.each(ctx, func(ctx context.Context, n *node) error {
		if len(deleted) > 0 {
			if _, err := n.appendDeletes(ctx, deleted); err != nil {
				return err
			}
		}
		if len(viewers[n]) == 0 {
			return nil
		}
		_, err := n.pipelined(ctx, func(pipe goredis.Pipeliner) {
			for _, v := range viewers[n] {
				actScript.queue(ctx, pipe, s.key(v), number(random63()))
			}
		})
		return err
	})
	if err != nil {
		return unavailable("announce an act", err)
	}
	return nil
}

// appendDeletes appends posts to the log of a master, which it begins if there is
// none of this life, and returns its head.
func (n *node) appendDeletes(ctx context.Context, posts []feed.PostID) (string, error) {
	fresh := binary.BigEndian.AppendUint32(nil, rand.Uint32N(1<<32-1)+1)
	args := []any{fresh, deletesKept}
	for _, post := range posts {
		args = append(args, number(uint64(post)))
	}
	answer, err := n.eval(ctx, deletesScript, n.log, args...)
	if err != nil {
		return "", err
	}
	head, ok := answer.(string)
	if !ok || !isHead(head) {
		return "", errAnswer
	}
	return head, nil
}

// DeletedSince returns the posts deleted after position, in the order of their
// announcement. The last 4,096 are remembered.
func (s *Store) DeletedSince(ctx context.Context, shard int, position uint64) (timeline.Deletes, error) {
	var deletes timeline.Deletes
	if shard < 0 || shard >= s.Shards() {
		return deletes, nil
	}
	err := s.each(ctx, func(ctx context.Context, n *node) error {
		if deletes.Known {
			return nil
		}
		id := binary.BigEndian.AppendUint32(nil, uint32(position>>32))
		answer, err := n.eval(ctx, sinceScript, n.log, id, position&(1<<32-1))
		if errors.Is(err, goredis.Nil) {
			return nil // not a position of this log
		}
		if err != nil {
			return err
		}
		posts, ok := answer.(string)
		if !ok {
			return errAnswer
		}
		deletes.Known = true
		for at := 0; at+entrySize <= len(posts); at += entrySize {
			deletes.Posts = append(deletes.Posts, feed.PostID(beUint64(posts[at:])))
		}
		return nil
	})
	if err != nil {
		return timeline.Deletes{}, unavailable("list deletes", err)
	}
	return deletes, nil
}
