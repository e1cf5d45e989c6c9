package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"skein/feed"
	"skein/timeline"
)

// Each shard has a log of deletes, a list:
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

// logSlot is the slot in which the log of deletes of a shard lies.
func (s *Store) logSlot(shard int) int { return shard * groupSlots }

func (s *Store) logKey(shard int) string { return s.keyIn(s.logSlot(shard), "deletes") }

// Announce makes acts known to every Read that begins after it returned: deletes in
// the log of every shard, and new Acts in the header of the viewer's timeline. To
// repeat it is safe.
//
// A master of a cluster that was deposed and does not know it yet would take acts
// that nobody will read. So those that took them must prove that they still are
// masters, as for a Barrier.
func (s *Store) Announce(ctx context.Context, acts ...timeline.Act) error {
	begun := time.Now()
	var deleted []feed.PostID
	var tell []func() (*node, error)
	for _, act := range acts {
		if act.Deleted != 0 {
			deleted = append(deleted, act.Deleted)
		}
		if v := act.Viewer; v != 0 {
			tell = append(tell, func() (*node, error) {
				n, _, err := s.eval(ctx, s.slotOf(v), actScript, s.key(v), number(random63()))
				return n, err
			})
		}
	}
	for shard := 0; len(deleted) > 0 && shard < s.Shards(); shard++ {
		tell = append(tell, func() (*node, error) {
			n, _, err := s.appendDeletes(ctx, shard, deleted)
			return n, err
		})
	}
	told := make([]*node, len(tell))
	err := each(len(tell), func(i int) (err error) {
		told[i], err = tell[i]()
		return err
	})
	if err == nil && s.cluster {
		slices.SortFunc(told, func(a, b *node) int { return strings.Compare(a.address(), b.address()) })
		err = s.prove(ctx, slices.Compact(told), begun)
	}
	if err != nil {
		return unavailable("announce an act", err)
	}
	return nil
}

// appendDeletes appends posts to the log of a shard, which it begins if there is
// none of this life of its master, and returns its head and who has it.
func (s *Store) appendDeletes(ctx context.Context, shard int, posts []feed.PostID) (*node, string, error) {
	fresh := binary.BigEndian.AppendUint32(nil, rand.Uint32N(1<<32-1)+1)
	args := []any{fresh, deletesKept}
	for _, post := range posts {
		args = append(args, number(uint64(post)))
	}
	n, answer, err := s.eval(ctx, s.logSlot(shard), deletesScript, s.logKey(shard), args...)
	if err != nil {
		return n, "", err
	}
	head, ok := answer.(string)
	if !ok || !isHead(head) {
		return n, "", errAnswer
	}
	return n, head, nil
}

// DeletedSince returns the posts deleted after a position of a shard, in the order
// of their announcement. The last 4,096 are remembered.
func (s *Store) DeletedSince(ctx context.Context, shard int, position uint64) (timeline.Deletes, error) {
	if shard < 0 || shard >= s.Shards() {
		return timeline.Deletes{}, nil
	}
	id := binary.BigEndian.AppendUint32(nil, uint32(position>>32))
	_, answer, err := s.eval(ctx, s.logSlot(shard), sinceScript, s.logKey(shard), id, position&(1<<32-1))
	if errors.Is(err, goredis.Nil) {
		return timeline.Deletes{}, nil // not a position of this log
	}
	if err != nil {
		return timeline.Deletes{}, unavailable("list deletes", err)
	}
	posts, ok := answer.(string)
	if !ok {
		return timeline.Deletes{}, unavailable("list deletes", errAnswer)
	}
	deletes := timeline.Deletes{Known: true}
	for at := 0; at+entrySize <= len(posts); at += entrySize {
		deletes.Posts = append(deletes.Posts, feed.PostID(beUint64(posts[at:])))
	}
	return deletes, nil
}
