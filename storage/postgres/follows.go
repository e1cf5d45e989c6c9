package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"skein/feed"
	"skein/storage"
)

// The follow indexes hold all that these ask for. followSet is one statement, so
// that the version and the edges are of one snapshot, and both arrays have one
// order. It reads no edges at version $2.
const (
	followSet = `
SELECT version,
	CASE WHEN version <> $2 THEN ARRAY(SELECT author FROM follows WHERE viewer = $1 ORDER BY author) END,
	CASE WHEN version <> $2 THEN ARRAY(SELECT since FROM follows WHERE viewer = $1 ORDER BY author) END
FROM viewers WHERE viewer = $1`

	listFollowing = `
SELECT author FROM follows WHERE viewer = $1 AND author > $2 ORDER BY author LIMIT $3`

	listFollowers = `
SELECT follower_hash FROM follows
WHERE author = $1 AND follower_hash BETWEEN $2 AND $3 ORDER BY follower_hash LIMIT $4`

	firstFollowers = `
SELECT ARRAY(SELECT follower_hash FROM follows WHERE author = asked.id ORDER BY follower_hash LIMIT $2)
FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (id, place) ORDER BY place`
)

// signed maps hashes to bigints in the same order; unsigned is its inverse.
func signed(hash uint64) int64   { return int64(hash ^ 1<<63) }
func unsigned(hash int64) uint64 { return uint64(hash) ^ 1<<63 }

// Follow implements storage.Follows.
func (s *Store) Follow(ctx context.Context, edge feed.Follow) (bool, error) {
	return s.setEdge(ctx, "follow", `SELECT follow($1, $2, $3)`, edge)
}

// Unfollow implements storage.Follows.
func (s *Store) Unfollow(ctx context.Context, edge feed.Follow) (bool, error) {
	return s.setEdge(ctx, "unfollow", `SELECT unfollow($1, $2, $3)`, edge)
}

func (s *Store) setEdge(ctx context.Context, doing, sql string, edge feed.Follow) (changed bool, err error) {
	err = s.call(ctx, doing, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, sql, edge.Viewer, edge.Author, signed(edge.Viewer.Hash())).Scan(&changed)
	})
	return changed && err == nil, err
}

// GetFollowSet implements storage.Follows.
func (s *Store) GetFollowSet(ctx context.Context, viewer feed.UserID, known *storage.FollowSet) (*storage.FollowSet, error) {
	var version int64
	var authors, since []int64
	err := s.call(ctx, "read whom the viewer follows", func(ctx context.Context) error {
		knownVersion := int64(-1)
		if known != nil {
			knownVersion = int64(known.Version)
		}
		err := s.pool.QueryRow(ctx, followSet, viewer, knownVersion).Scan(&version, &authors, &since)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if known != nil && int64(known.Version) == version {
		return known, nil
	}
	set := &storage.FollowSet{
		Version: storage.FollowVersion(version),
		Authors: make([]feed.UserID, len(authors)),
		Since:   make([]storage.FollowVersion, len(since)),
	}
	for i := range authors {
		set.Authors[i], set.Since[i] = feed.UserID(authors[i]), storage.FollowVersion(since[i])
	}
	return set, nil
}

// ListFollowing implements storage.Follows.
func (s *Store) ListFollowing(ctx context.Context, viewer, after feed.UserID, limit int) ([]feed.UserID, error) {
	return s.appendUsers(ctx, "list whom the viewer follows", nil, func(author int64) feed.UserID { return feed.UserID(author) },
		listFollowing, viewer, after, max(limit, 0))
}

// ListFollowers implements storage.Follows.
func (s *Store) ListFollowers(ctx context.Context, author feed.UserID, r feed.HashRange, limit int, buf []feed.UserID) ([]feed.UserID, error) {
	return s.appendUsers(ctx, "list followers", buf, func(hash int64) feed.UserID { return feed.UserOfHash(unsigned(hash)) },
		listFollowers, author, signed(r.First), signed(r.Last), max(limit, 0))
}

// FirstFollowers implements storage.Follows.
func (s *Store) FirstFollowers(ctx context.Context, authors []feed.UserID, limit int) ([][]feed.UserID, error) {
	hashes, err := column[[]int64](ctx, s, "list followers", firstFollowers, numbers(authors), max(limit, 0))
	lists := make([][]feed.UserID, len(hashes))
	for i := range hashes {
		lists[i] = make([]feed.UserID, len(hashes[i]))
		for j, hash := range hashes[i] {
			lists[i][j] = feed.UserOfHash(unsigned(hash))
		}
	}
	return lists, err
}

// appendUsers appends the numbers of a statement, each turned into a user by user.
// After an error buf is as it was.
func (s *Store) appendUsers(ctx context.Context, doing string, buf []feed.UserID, user func(int64) feed.UserID, sql string, args ...any) ([]feed.UserID, error) {
	all := buf
	err := s.call(ctx, doing, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all = buf
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&n}, func() error {
			all = append(all, user(n))
			return nil
		})
		return err
	})
	if err != nil {
		return buf, err
	}
	return all, nil
}
