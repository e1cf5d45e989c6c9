package embedded

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/storage"
)

// followHead stands before the edges of a viewer's follow set. The viewer's
// stripe guards it.
type followHead struct {
	version storage.FollowVersion
	count   uint64
}

func (h followHead) encode() []byte { return encodeNumbers(uint64(h.version), h.count) }

func (s *Store) followHead(viewer feed.UserID) (followHead, error) {
	ns, _, err := s.lookupNumbers(number(tableFollows, viewer), 2)
	return followHead{version: storage.FollowVersion(ns[0]), count: ns[1]}, err
}

// Follow implements storage.Follows.
func (s *Store) Follow(ctx context.Context, edge feed.Follow) (bool, error) {
	return s.setEdge(ctx, "follow", edge, true)
}

// Unfollow implements storage.Follows.
func (s *Store) Unfollow(ctx context.Context, edge feed.Follow) (bool, error) {
	return s.setEdge(ctx, "unfollow", edge, false)
}

// setEdge makes an edge exist or not, and reports whether that was a change.
func (s *Store) setEdge(ctx context.Context, doing string, edge feed.Follow, want bool) (bool, error) {
	if err := s.enter(ctx, doing); err != nil {
		return false, err
	}
	defer s.leave()
	unlock := s.users.lock(uint64(edge.Viewer))
	b, changed, err := s.showEdge(edge, want)
	unlock()
	switch {
	case err != nil:
	case changed:
		err = s.persist(b)
	default:
		err = s.settled(nil)
	}
	if err != nil {
		return false, translate(doing, err)
	}
	return changed, nil
}

// showEdge changes one edge. The caller holds the viewer's stripe.
func (s *Store) showEdge(edge feed.Follow, want bool) (b batch, changed bool, err error) {
	exists, err := s.has(followsKey(edge.Viewer, edge.Author))
	if err != nil || exists == want {
		return b, false, err
	}
	head, err := s.followHead(edge.Viewer)
	if err != nil {
		return b, false, err
	}
	head.version++
	b = s.batch()
	if want {
		head.count++
		putEdge(b, edge, head.version)
		b.add(number(tableFollowerCounts, edge.Author), 1)
	} else {
		head.count--
		b.remove(followsKey(edge.Viewer, edge.Author))
		b.remove(followersKey(edge.Author, edge.Viewer.Hash()))
		b.add(number(tableFollowerCounts, edge.Author), -1)
	}
	b.set(number(tableFollows, edge.Viewer), head.encode())
	return b, true, s.show(b)
}

// putEdge writes both sides of an edge.
func putEdge(b batch, edge feed.Follow, version storage.FollowVersion) {
	b.set(followsKey(edge.Viewer, edge.Author), encodeNumbers(uint64(version)))
	b.set(followersKey(edge.Author, edge.Viewer.Hash()), nil)
}

// GetFollowSet implements storage.Follows. Head and edges are neighbours, so one
// iterator sees them at one version.
func (s *Store) GetFollowSet(ctx context.Context, viewer feed.UserID, known *storage.FollowSet) (*storage.FollowSet, error) {
	const doing = "read whom the viewer follows"
	if err := s.enter(ctx, doing); err != nil {
		return nil, err
	}
	defer s.leave()
	if known != nil {
		head, err := s.followHead(viewer)
		if err != nil {
			return nil, translate(doing, err)
		}
		if head.version == known.Version {
			return known, nil
		}
	}
	set := &storage.FollowSet{}
	err := s.scan(number(tableFollows, viewer), nextKey(tableFollows, viewer), func(it *pebble.Iterator) (bool, error) {
		k := it.Key()
		if len(k) == oneNumber {
			ns, err := numbers(k, it.Value(), 2)
			set.Version = storage.FollowVersion(ns[0])
			set.Authors = make([]feed.UserID, 0, min(ns[1], 1<<16))
			set.Since = make([]storage.FollowVersion, 0, min(ns[1], 1<<16))
			return true, err
		}
		author, err := lastNumber(k, twoNumbers)
		if err != nil {
			return false, err
		}
		since, err := numbers(k, it.Value(), 1)
		set.Authors = append(set.Authors, feed.UserID(author))
		set.Since = append(set.Since, storage.FollowVersion(since[0]))
		return true, err
	})
	if err != nil {
		return nil, translate(doing, err)
	}
	return set, nil
}

// ListFollowing implements storage.Follows.
func (s *Store) ListFollowing(ctx context.Context, viewer, after feed.UserID, limit int) ([]feed.UserID, error) {
	const doing = "list whom the viewer follows"
	if err := s.enter(ctx, doing); err != nil {
		return nil, err
	}
	defer s.leave()
	first := followsKey(viewer, max(after, 0)+1)
	authors, err := s.appendNumbers(nil, first, nextKey(tableFollows, viewer), limit, func(n uint64) feed.UserID { return feed.UserID(n) })
	return authors, translate(doing, err)
}

// ListFollowers implements storage.Follows. Beyond one iterator it allocates
// only when buf must grow: a follower is decoded from its key.
func (s *Store) ListFollowers(ctx context.Context, author feed.UserID, r feed.HashRange, limit int, buf []feed.UserID) ([]feed.UserID, error) {
	const doing = "list followers"
	if err := s.enter(ctx, doing); err != nil {
		return buf, err
	}
	defer s.leave()
	before := nextKey(tableFollowers, author)
	if r.Last < feed.AllHashes.Last {
		before = followersKey(author, r.Last+1)
	}
	if r.First > r.Last {
		return buf, nil
	}
	buf, err := s.appendNumbers(buf, followersKey(author, r.First), before, limit, feed.UserOfHash)
	return buf, translate(doing, err)
}

// FirstFollowers implements storage.Follows, with one iterator for all authors.
func (s *Store) FirstFollowers(ctx context.Context, authors []feed.UserID, limit int) ([][]feed.UserID, error) {
	const doing = "list followers"
	if err := s.enter(ctx, doing); err != nil {
		return nil, err
	}
	defer s.leave()
	lists, err := s.firstFollowers(authors, limit)
	return lists, translate(doing, err)
}

func (s *Store) firstFollowers(authors []feed.UserID, limit int) (lists [][]feed.UserID, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableFollowers}, UpperBound: []byte{tableFollowers + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	lists = make([][]feed.UserID, len(authors))
	key := make([]byte, 0, oneNumber)
	for i, author := range authors {
		key = appendNumber(key[:0], tableFollowers, author)
		for ok := it.SeekGE(key); ok && len(lists[i]) < limit; ok = it.Next() {
			k := it.Key()
			if len(k) != twoNumbers {
				return nil, damaged(k)
			}
			if string(k[:oneNumber]) != string(key) {
				break
			}
			lists[i] = append(lists[i], feed.UserOfHash(binary.BigEndian.Uint64(k[oneNumber:])))
		}
		if err := it.Error(); err != nil {
			return nil, err
		}
	}
	return lists, nil
}

// appendNumbers appends up to limit of the second numbers of the keys between
// first and before, each turned into a user by user.
func (s *Store) appendNumbers(buf []feed.UserID, first, before []byte, limit int, user func(uint64) feed.UserID) ([]feed.UserID, error) {
	if limit <= 0 {
		return buf, nil
	}
	err := s.scan(first, before, func(it *pebble.Iterator) (bool, error) {
		k := it.Key()
		if len(k) != twoNumbers {
			return false, damaged(k)
		}
		buf = append(buf, user(binary.BigEndian.Uint64(k[oneNumber:])))
		limit--
		return limit > 0, nil
	})
	return buf, err
}
