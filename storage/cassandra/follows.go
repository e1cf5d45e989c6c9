package cassandra

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"skein/feed"
	"skein/storage"
)

const (
	// listsAtOnce is for how many authors followers are asked for at once.
	listsAtOnce = 16

	// maxTries bounds how often an act on a follow set is tried while others change
	// the same set.
	maxTries = 100
	// wideFrom is how many followers an author has in one partition; further ones are
	// spread over wideBuckets by the first wideBits of their hash.
	wideFrom    = 10_000
	wideBits    = 6
	wideBuckets = 1 << wideBits

	insertFollower = `INSERT INTO followers (author, bucket, hash) VALUES (?, ?, ?) USING TIMESTAMP ?`
	deleteFollower = `DELETE FROM followers USING TIMESTAMP ? WHERE author = ? AND bucket = ? AND hash = ?`

	addFollowers = `UPDATE follower_counts SET count = count + ? WHERE author = ?`

	// changeHead goes first in a transaction on a follow set, and fails if the set is
	// another than was read.
	changeHead = `
UPDATE follows SET version = ?, following = ?, stamp = ? WHERE viewer = ? AND author = 0 IF version = ?`

	changeEdge = `
UPDATE follows SET follows = ?, since = ?, bucket = ? WHERE viewer = ? AND author = ?`
)

// signed maps hashes to bigints in the same order; unsigned is its inverse.
func signed(hash uint64) int64   { return int64(hash ^ 1<<63) }
func unsigned(hash int64) uint64 { return uint64(hash) ^ 1<<63 }

// wideBucket is where a follower of an author with many is, from 1.
func wideBucket(hash uint64) int16 { return int16(hash>>(64-wideBits)) + 1 }

// head is the head of a follow set. The zero value is that of a viewer who never
// followed.
type head struct {
	version   *int64 // nil for none, as a condition wants it
	following int64
	stamp     int64
}

func (h head) next() int64 {
	if h.version == nil {
		return 1
	}
	return *h.version + 1
}

// edge is one row of a follow set.
type edge struct {
	follows bool
	since   int64
	bucket  int16
}

// readEdge reads the head of a set, and an edge of it if the author is not 0: both of
// one moment. It reads what lightweight transactions are about to commit as well.
func (s *Store) readEdge(ctx context.Context, at feed.Follow) (h head, e edge, err error) {
	var author int64
	var following, stamp, since *int64
	var follows *bool
	var bucket *int16
	var version *int64
	q := s.readSerial(ctx, `SELECT author, version, following, stamp, follows, since, bucket FROM follows WHERE viewer = ? AND author IN ?`,
		int64(at.Viewer), slices.Compact([]int64{0, int64(at.Author)}))
	err = each(q, []any{&author, &version, &following, &stamp, &follows, &since, &bucket}, func() {
		if author == 0 {
			h = head{version: version, following: value(following), stamp: value(stamp)}
		} else {
			e = edge{follows: value(follows), since: value(since), bucket: value(bucket)}
		}
	})
	return h, e, err
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// Follow implements storage.Follows.
func (s *Store) Follow(ctx context.Context, at feed.Follow) (bool, error) {
	added, err := s.setEdge(ctx, at, true)
	return added, translate("follow", err)
}

// Unfollow implements storage.Follows.
func (s *Store) Unfollow(ctx context.Context, at feed.Follow) (bool, error) {
	removed, err := s.setEdge(ctx, at, false)
	return removed, translate("unfollow", err)
}

func (s *Store) setEdge(ctx context.Context, at feed.Follow, follow bool) (changed bool, err error) {
	turn := s.viewers[at.Viewer.Hash()%uint64(len(s.viewers))]
	if err := turn.take(ctx); err != nil {
		return false, err
	}
	defer turn.give()
	for range maxTries {
		h, e, err := s.readEdge(ctx, at)
		if err != nil {
			return false, err
		}
		switch {
		case e.follows && follow:
			return false, nil
		case !e.follows && !follow:
			// Whoever ended it may have died before the other end was gone.
			if e.since > 0 {
				err = s.write(ctx, deleteFollower, h.stamp+1, int64(at.Author), e.bucket, signed(at.Viewer.Hash()))
			}
			return false, err
		}
		if done, err := s.act(ctx, at, h, e, follow); err != nil || done {
			return done, err
		}
	}
	return false, errors.New("others keep changing whom the viewer follows")
}

// act changes an edge, if its set is still the one with head h.
func (s *Store) act(ctx context.Context, at feed.Follow, h head, e edge, follow bool) (done bool, err error) {
	// Above every earlier act on the set, whichever clock stamped that.
	stamp := max(s.Now().UnixMicro(), h.stamp+2)
	hash, more, bucket := at.Viewer.Hash(), int64(-1), e.bucket
	if follow {
		more = 1
		if bucket, err = s.bucketFor(ctx, at.Author, hash); err != nil {
			return false, err
		}
		if err := s.write(ctx, insertFollower, int64(at.Author), bucket, signed(hash), stamp); err != nil {
			return false, err
		}
		s.after(stepFollower)
	}
	done, err = s.decideAll(ctx, func(b *gocql.Batch) {
		b.Query(changeHead, h.next(), h.following+more, stamp, int64(at.Viewer), h.version)
		b.Query(changeEdge, follow, h.next(), bucket, int64(at.Viewer), int64(at.Author))
	})
	if err != nil || !done {
		return false, err
	}
	if !follow {
		s.after(stepUnedged)
		if err := s.write(ctx, deleteFollower, stamp+1, int64(at.Author), bucket, signed(hash)); err != nil {
			return false, err
		}
	}
	s.count(ctx, at.Author, more)
	return true, nil
}

// count changes a follower count after its edge. If that fails the count is off.
func (s *Store) count(ctx context.Context, author feed.UserID, more int64) {
	if err := s.addFollowers(ctx, author, more); err != nil {
		s.opts.Logger.Warn("a follower count may be off", "author", author, "by", more, "err", err)
	}
}

// bucketFor returns where a new follower of author belongs. That an author is wide is
// written before the first follower is spread.
func (s *Store) bucketFor(ctx context.Context, author feed.UserID, hash uint64) (int16, error) {
	n, err := s.countFollowers(ctx, author)
	if err != nil || n < s.wideFrom {
		return 0, err
	}
	if err := s.setWide(ctx, author); err != nil {
		return 0, err
	}
	return wideBucket(hash), nil
}

func (s *Store) setWide(ctx context.Context, author feed.UserID) error {
	return s.write(ctx, `INSERT INTO wide_authors (author, wide) VALUES (?, true)`, int64(author))
}

// GetFollowSet implements storage.Follows: one partition, read at once.
func (s *Store) GetFollowSet(ctx context.Context, viewer feed.UserID, known *storage.FollowSet) (*storage.FollowSet, error) {
	set := &storage.FollowSet{}
	var author int64
	var version, since *int64
	var follows *bool
	if known != nil {
		err := s.read(ctx, `SELECT version FROM follows WHERE viewer = ? AND author = 0`, int64(viewer)).Scan(&version)
		if err != nil && !errors.Is(err, gocql.ErrNotFound) {
			return nil, translate("read whom the viewer follows", err)
		}
		if storage.FollowVersion(value(version)) == known.Version {
			return known, nil
		}
	}
	q := s.read(ctx, `SELECT author, version, follows, since FROM follows WHERE viewer = ?`, int64(viewer))
	err := each(q, []any{&author, &version, &follows, &since}, func() {
		if author == 0 {
			set.Version = storage.FollowVersion(value(version))
		} else if value(follows) {
			set.Authors = append(set.Authors, feed.UserID(author))
			set.Since = append(set.Since, storage.FollowVersion(value(since)))
		}
	})
	if err != nil {
		return nil, translate("read whom the viewer follows", err)
	}
	return set, nil
}

// ListFollowing implements storage.Follows.
func (s *Store) ListFollowing(ctx context.Context, viewer, after feed.UserID, limit int) ([]feed.UserID, error) {
	var authors []feed.UserID
	after = max(after, 0)
	page := limit + 1
	for n := page; n == page && len(authors) < limit; {
		n = 0
		var author int64
		var follows *bool
		q := s.read(ctx, `SELECT author, follows FROM follows WHERE viewer = ? AND author > ? LIMIT ?`, int64(viewer), int64(after), page)
		err := each(q, []any{&author, &follows}, func() {
			n++
			after = feed.UserID(author)
			if value(follows) && len(authors) < limit {
				authors = append(authors, after)
			}
		})
		if err != nil {
			return nil, translate("list whom the viewer follows", err)
		}
	}
	return authors, nil
}

// ListFollowers implements storage.Follows. It reads the partition that every author
// has, beside it whether there are more, and then those.
func (s *Store) ListFollowers(ctx context.Context, author feed.UserID, r feed.HashRange, limit int, buf []feed.UserID) ([]feed.UserID, error) {
	const doing = "list followers"
	if limit <= 0 || r.First > r.Last {
		return buf, nil
	}
	var narrow []uint64
	var wide atomic.Bool
	group, both := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		narrow, err = s.listBucket(both, author, 0, r, limit)
		return err
	})
	group.Go(func() error {
		var is bool
		err := s.read(both, `SELECT wide FROM wide_authors WHERE author = ?`, int64(author)).Scan(&is)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		wide.Store(is)
		return err
	})
	if err := group.Wait(); err != nil {
		return buf, translate(doing, err)
	}
	if wide.Load() {
		spread, err := s.listWide(ctx, author, r, limit)
		if err != nil {
			return buf, translate(doing, err)
		}
		// One who left and came back may have been in both for a moment.
		narrow = append(narrow, spread...)
		slices.Sort(narrow)
		narrow = slices.Compact(narrow)
	}
	for _, hash := range narrow[:min(limit, len(narrow))] {
		buf = append(buf, feed.UserOfHash(hash))
	}
	return buf, nil
}

// FirstFollowers implements storage.Follows. Each author has a partition of its own, so
// it is a question for each, a few at a time.
func (s *Store) FirstFollowers(ctx context.Context, authors []feed.UserID, limit int) ([][]feed.UserID, error) {
	lists := make([][]feed.UserID, len(authors))
	group, all := errgroup.WithContext(ctx)
	group.SetLimit(listsAtOnce)
	for i, author := range authors {
		group.Go(func() (err error) {
			lists[i], err = s.ListFollowers(all, author, feed.AllHashes, limit, nil)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return lists, nil
}

// listWide reads the buckets of a range one after the other, which is the order of the
// hash, until there are limit.
func (s *Store) listWide(ctx context.Context, author feed.UserID, r feed.HashRange, limit int) (hashes []uint64, err error) {
	for bucket := wideBucket(r.First); bucket <= wideBucket(r.Last) && len(hashes) < limit; bucket++ {
		more, err := s.listBucket(ctx, author, bucket, r, limit-len(hashes))
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, more...)
	}
	return hashes, nil
}

func (s *Store) listBucket(ctx context.Context, author feed.UserID, bucket int16, r feed.HashRange, limit int) (hashes []uint64, err error) {
	var hash int64
	q := s.read(ctx, `SELECT hash FROM followers WHERE author = ? AND bucket = ? AND hash >= ? AND hash <= ? LIMIT ?`,
		int64(author), bucket, signed(r.First), signed(r.Last), limit)
	err = each(q, []any{&hash}, func() { hashes = append(hashes, unsigned(hash)) })
	return hashes, err
}
